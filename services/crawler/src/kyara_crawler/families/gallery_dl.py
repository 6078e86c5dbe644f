"""Sites that gallery-dl can list: it runs as a process of its own, says what a site has, and downloads nothing.

It follows redirects wherever they lead and takes anything for a picture. So it reaches the web through a gate that leads to
the site's own hosts only, and every picture is fetched and checked as those of other sites are.
"""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from kyara_crawler.gate import gate_to
from kyara_crawler.lister import NothingThere, listed
from kyara_crawler.sites import Site
from kyara_crawler.source import RATINGS, Post, SiteFailed, Unresolved
from kyara_crawler.spelling import spellings
from kyara_crawler.web import Reach, Web

MOST_LIST_BYTES = 256 << 20
"""Of all answers that one list is made from."""
LOGINS = ("username", "password", "api-key", "user-id", "refresh-token")
URL = "kyara_url"
"""The key under which gallery-dl is to tell a picture's link."""
_REFUSED = re.compile("'40[13] |Auth|[Ll]ogin required")


class GalleryDl:
    """A site as a Source."""

    def __init__(self, web: Web, site: Site, login: Mapping[str, str]) -> None:
        """Raises ValueError for a site that does not say how it is listed, or a login that gallery-dl does not know."""
        if not site.search:
            raise ValueError(f"site {site.name}: give the link to what it finds for a {{tag}} (search)")
        self._login = {key.replace("_", "-"): value for key, value in login.items()}
        if unknown := set(self._login) - set(LOGINS):
            raise ValueError(f"site {site.name}: a login there is made of {', '.join(LOGINS)}, not {', '.join(unknown)}")
        self._web, self._site = web, site

    async def canary(self) -> None:
        """A tag that is surely there has posts, and they can be read."""
        first = await self._first(self._site.canary)
        if first is None:
            raise SiteFailed(f"{self._site.url} shows nothing for {self._site.canary!r}; it has changed, or wants a login")
        _post(first, self._site)

    async def resolve(self, name: str) -> str:
        """The first spelling that has posts: these sites tell nothing of a tag alone."""
        tried = spellings(name, self._site.spelling)
        for spelling in tried:
            if await self._first(spelling):
                return spelling
        raise Unresolved(tried)

    async def search(self, tag: str, ratings: Collection[str]) -> AsyncIterator[Post]:
        """Ratings are told apart afterwards."""
        del ratings
        async with aclosing(self._items(tag)) as items:
            async for item in items:
                yield _post(item, self._site)

    async def _first(self, tag: str) -> dict[str, Any] | None:
        async with aclosing(self._items(tag)) as items:
            return await anext(items, None)

    async def _items(self, tag: str) -> AsyncGenerator[dict[str, Any], None]:
        url = self._site.search.replace("{tag}", quote(tag, safe=""))
        reach = Reach((self._site.hosts[0], *self._site.lists), self._site.per_second, MOST_LIST_BYTES)
        async with gate_to(self._web, reach) as gate:
            agent = {"user-agent": self._web.user_agent, "browser": ""}
            options = {
                **self._site.gallery_dl,
                **self._login,
                **agent,
                # Extractors with a name of their own heed only what is said to them alone.
                self._site.name.replace("-", ""): agent,
                "proxy": gate.url,
                "timeout": self._web.patience_s,
            }
            try:
                async with aclosing(listed(url, options, URL, self._web.patience_s)) as lines:
                    async for line in lines:
                        yield self._read(line)
            except NothingThere:
                return
            except SiteFailed as error:
                said = "; ".join(dict.fromkeys(gate.refused)) or str(error)
                hint = f"; it wants a login; give one in the settings (logins.{self._site.name})" if _REFUSED.search(said) else ""
                raise SiteFailed(self._without_login(f"{self._site.url}: {said}{hint}")) from error

    def _read(self, line: bytes) -> dict[str, Any]:
        try:
            item = json.loads(line)
        except ValueError:
            item = None
        if not isinstance(item, dict):
            raise SiteFailed("gallery-dl tells of a post otherwise than as JSON")
        return item

    def _without_login(self, said: str) -> str:
        for secret in filter(None, self._login.values()):
            said = said.replace(secret, "***").replace(quote(secret, safe=""), "***")
        return said


def _post(item: Mapping[str, Any], site: Site) -> Post:
    """What it tells as a post. Raises SiteFailed where it lacks what a post must have."""
    number, url = str(item.get("id") or ""), item.get(URL)
    if not number or not isinstance(url, str):
        raise SiteFailed(f"{site.url}: gallery-dl tells of a post without its id or link; the site has changed")
    md5 = str(item.get("md5") or "")
    return Post(
        site=site.name,
        id=f"{number}_{item['num']}" if item.get("num") else number,
        url=url,
        page=site.page.replace("{id}", quote(number, safe="")),
        rating=_rating(item.get(site.rating_key), site),
        md5=md5 if re.fullmatch("[0-9a-f]{32}", md5) else "",
        width=_count(item.get("width")),
        height=_count(item.get("height")),
        tags=tuple(_tags(item.get("tags"))),
        source=next((item[key] for key in ("source", "source_url") if isinstance(item.get(key), str)), ""),
        parent=str(item.get("parent_id") or ""),
    )


def _rating(told: object, site: Site) -> str:
    """The worst of what is told, which may be a list of tags."""
    words = map(str, told if isinstance(told, list) else [told])
    known = [site.ratings[word] for word in words if word in site.ratings]
    return max(known, key=RATINGS.index) if known else site.unrated


def _tags(told: object) -> list[str]:
    """Tags, in whichever form a site tells them."""
    if isinstance(told, str):
        return told.split(", ") if ", " in told else told.split()
    if isinstance(told, dict):
        return [tag for each in told.values() for tag in _tags(each)]
    return [each for each in told if isinstance(each, str)] if isinstance(told, list) else []


def _count(told: object) -> int:
    return told if isinstance(told, int) and told > 0 else 0
