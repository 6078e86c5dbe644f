"""Szurubooru: https://github.com/rr-/szurubooru/blob/master/doc/API.md."""

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from kyara_crawler.booru import Api, Tag, absolute, rating_of
from kyara_crawler.source import Post, SiteFailed

PAGE = 100


class _Tag(BaseModel):
    names: list[str]
    """The first one is the tag's own, others are aliases."""
    usages: int


class _Name(BaseModel):
    names: list[str]


class _Post(BaseModel):
    id: int
    safety: str
    type: str
    contentUrl: str  # noqa: N815
    checksumMD5: str | None = None  # noqa: N815
    canvasWidth: int | None = None  # noqa: N815
    canvasHeight: int | None = None  # noqa: N815
    fileSize: int | None = None  # noqa: N815
    tags: list[_Name] = []
    source: str | None = None


class _Posts(BaseModel):
    results: list[_Post]


class Szurubooru:
    """The family. What its tags' categories are called is each site's own business, so that any tag may be a character's."""

    words = {"safe": "general", "sketchy": "questionable", "unsafe": "explicit"}  # noqa: RUF012

    async def find_tag(self, api: Api, name: str) -> Tag | None:
        """By any of its names."""
        answer = await api.json(f"/api/tag/{quote(name, safe='')}", {})
        if answer is None:
            return None
        tag = _Tag.model_validate(answer)
        return Tag(tag.names[0], tag.usages, is_character=True)

    async def page(self, api: Api, tag: str, number: int, ratings: Collection[str]) -> list[Post] | None:
        """In a query `:` and a leading `-` mean something, unless they are escaped."""
        words = [word for word, ours in self.words.items() if ours in ratings]
        query = " ".join([re.sub(r"([:\-\\])", r"\\\1", tag), *([f"safety:{','.join(words)}"] if words else [])])
        answer = await api.json("/api/posts/", {"query": query, "offset": str(number * PAGE), "limit": str(PAGE)})
        _check(answer, api)
        posts = _Posts.model_validate(answer).results
        return [_post(each, api, self.words) for each in posts] or None


def _check(answer: Any, api: Api) -> None:
    if isinstance(answer, dict) and "description" in answer and "results" not in answer:
        raise SiteFailed(f"{api.site.url} says: {answer['description']}")


def _post(post: _Post, api: Api, words: dict[str, str]) -> Post:
    return Post(
        site=api.site.name,
        id=str(post.id),
        url=absolute(post.contentUrl, api.site) if post.type == "image" else "",
        page=f"{api.site.url}/post/{post.id}",
        rating=rating_of(post.safety, api, words),
        md5=post.checksumMD5 or "",
        width=post.canvasWidth or 0,
        height=post.canvasHeight or 0,
        size=post.fileSize or 0,
        tags=tuple(tag.names[0] for tag in post.tags),
        source=post.source or "",
    )
