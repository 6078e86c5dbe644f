"""What sites run on: a Source for each site, by the name of its software."""

import base64
from collections.abc import Callable, Mapping

from pydantic import SecretStr

from kyara_crawler.booru import Api, BooruSource
from kyara_crawler.families.danbooru import Danbooru
from kyara_crawler.families.e621 import E621
from kyara_crawler.families.gallery_dl import GalleryDl
from kyara_crawler.families.gelbooru import Gelbooru
from kyara_crawler.families.moebooru import Moebooru
from kyara_crawler.families.szurubooru import Szurubooru
from kyara_crawler.sites import Site
from kyara_crawler.source import Source
from kyara_crawler.web import Web

Login = Mapping[str, SecretStr]
Shown = tuple[Mapping[str, str], Mapping[str, str]]
"""Params and headers that show a login."""


def source_of(site: Site, web: Web, login: Login) -> Source:
    """The site as a Source. Raises ValueError for a family that nobody knows, or a login that lacks something."""
    if site.family == "gallery-dl":
        return GalleryDl(web, site, {key: secret.get_secret_value() for key, secret in login.items()})
    if site.family not in _FAMILIES:
        raise ValueError(f"site {site.name}: no family {site.family!r}; there are gallery-dl, {', '.join(_FAMILIES)}")
    family, keys, show = _FAMILIES[site.family]
    if login and set(login) != set(keys):
        raise ValueError(f"site {site.name}: a login there is {' and '.join(keys)}, not {' and '.join(login)}")
    params, headers = show(*(login[key].get_secret_value() for key in keys)) if login else ({}, {})
    return BooruSource(family(), Api(web, site, params, headers))


def _basic(user: str, key: str) -> Shown:
    return {}, {"Authorization": f"Basic {_joined(user, key)}"}


def _token(user: str, key: str) -> Shown:
    return {}, {"Authorization": f"Token {_joined(user, key)}"}


def _joined(user: str, key: str) -> str:
    return base64.b64encode(f"{user}:{key}".encode()).decode()


_FAMILIES: dict[
    str, tuple[Callable[[], Danbooru | Moebooru | Gelbooru | E621 | Szurubooru], tuple[str, str], Callable[..., Shown]]
] = {
    "danbooru": (Danbooru, ("login", "api_key"), _basic),
    "moebooru": (Moebooru, ("login", "password_hash"), lambda user, key: ({"login": user, "password_hash": key}, {})),
    "gelbooru": (Gelbooru, ("user_id", "api_key"), lambda user, key: ({"user_id": user, "api_key": key}, {})),
    "e621": (E621, ("login", "api_key"), _basic),
    "szurubooru": (Szurubooru, ("user", "token"), _token),
}
"""What a family is, what a login is made of, and how it is shown."""
