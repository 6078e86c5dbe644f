"""What all booru families have in common, over what each says in its own words."""

import json
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from pydantic import ValidationError

from kyara_crawler.sites import Site
from kyara_crawler.source import Post, SiteFailed, Unresolved
from kyara_crawler.spelling import spellings
from kyara_crawler.web import Missing, Reach, Refused, Unfetched, Web

MOST_ANSWER_BYTES = 32 << 20
MOST_PAGES = 100


@dataclass(frozen=True)
class Tag:
    """A tag as a site knows it."""

    name: str
    """Where an alias leads."""
    posts: int
    is_character: bool


@dataclass(frozen=True)
class Api:
    """A site's API, as a client of it."""

    web: Web
    site: Site
    params: Mapping[str, str] = field(default_factory=dict)
    """With every call: a login."""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def text(self, path: str, params: Mapping[str, str]) -> str:
        """What it answers; nothing where there is nothing. Raises SiteFailed."""
        host = urlsplit(self.site.url).hostname or ""
        reach = Reach((host,), self.site.per_second, MOST_ANSWER_BYTES)
        try:
            answer = await self.web.get(self.site.url + path, reach, {**params, **self.params}, self.headers)
        except Missing:
            return ""
        except Refused as error:
            raise SiteFailed(f"{error}: it wants a login; give one in the settings (logins.{self.site.name})") from error
        except Unfetched as error:
            raise SiteFailed(str(error)) from error
        return answer.decode(errors="replace")

    async def json(self, path: str, params: Mapping[str, str]) -> Any:
        """What it answers, as JSON; None where there is nothing. Raises SiteFailed."""
        text = await self.text(path, params)
        try:
            return json.loads(text) if text.strip() else None
        except ValueError as error:
            raise SiteFailed(f"{self.site.url}{path} answers no JSON; it wants a login, or has changed") from error


class Family(Protocol):
    """What is different between families. Methods raise SiteFailed, and ValidationError for an answer in another form."""

    async def find_tag(self, api: Api, name: str) -> Tag | None:
        """The tag of just this name, or the one that it is an alias of."""
        ...

    async def page(self, api: Api, tag: str, number: int, ratings: Collection[str]) -> list[Post] | None:
        """A page of a tag's posts, from 0 on; None past the last one."""
        ...


class BooruSource:
    """A booru as a Source."""

    def __init__(self, family: Family, api: Api) -> None:
        self._family = family
        self._api = api

    async def canary(self) -> None:
        """A tag that is surely there has posts, and they can be read."""
        tag = self._api.site.canary
        posts = await self._page(tag, 0, ())
        if not posts:
            raise SiteFailed(f"{self._api.site.url} shows nothing for {tag!r}; it has changed, or wants a login")
        if not any(post.url for post in posts):
            raise SiteFailed(f"{self._api.site.url} shows no links to pictures; it wants a login, or has changed")

    async def resolve(self, name: str) -> str:
        """The tag that the site itself calls a character's, among the ways to spell the name."""
        tried = spellings(name)
        for spelling in tried:
            tag = await self._told(self._family.find_tag(self._api, spelling))
            if tag and tag.is_character and tag.posts > 0:
                return tag.name
        raise Unresolved(tried)

    async def search(self, tag: str, ratings: Collection[str]) -> AsyncIterator[Post]:
        """Page by page."""
        for number in range(MOST_PAGES):
            posts = await self._page(tag, number, ratings)
            if posts is None:
                return
            for post in posts:
                yield post

    async def _page(self, tag: str, number: int, ratings: Collection[str]) -> list[Post] | None:
        return await self._told(self._family.page(self._api, tag, number, ratings))

    async def _told(self, answer: Any) -> Any:
        try:
            return await answer
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise SiteFailed(f"{self._api.site.url} answers otherwise than documented: {where}: {first['msg']}") from error


def rated(tag: str, words: Mapping[str, str], ratings: Collection[str]) -> str:
    """A search for `tag`, and for the one rating that is wanted, where the site has a single word for what is wanted."""
    asked = [word for word, ours in words.items() if ours in ratings]
    return f"{tag} rating:{asked[0]}" if len(asked) == 1 else tag


def rating_of(word: str, api: Api, words: Mapping[str, str]) -> str:
    """A site's word for a rating, in ours; one that nobody knows is as bad as can be."""
    return api.site.ratings.get(word) or words.get(word, "explicit")


def absolute(url: str | None, site: Site) -> str:
    """A link as a whole one; empty stays empty."""
    if not url:
        return ""
    if url.startswith("//"):
        return f"{urlsplit(site.url).scheme}:{url}"
    return url if "://" in url else f"{site.url}/{url.lstrip('/')}"
