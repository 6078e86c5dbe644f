"""Moebooru: https://yande.re/help/api. Searches follow aliases by themselves."""

from collections.abc import Collection

from pydantic import BaseModel, TypeAdapter

from kyara_crawler.booru import Api, Tag, absolute, rated, rating_of
from kyara_crawler.source import Post

PAGE = 100
CHARACTER = 4


class _Tag(BaseModel):
    name: str
    count: int
    type: int


class _Post(BaseModel):
    id: int
    rating: str
    tags: str
    width: int
    height: int
    file_url: str | None = None
    md5: str = ""
    file_size: int = 0
    source: str | None = ""
    parent_id: int | None = None


_TAGS, _POSTS = TypeAdapter(list[_Tag]), TypeAdapter(list[_Post])


class Moebooru:
    """The family. Its `s` is safe, which Danbooru would call general."""

    words = {"s": "general", "q": "questionable", "e": "explicit"}  # noqa: RUF012

    async def find_tag(self, api: Api, name: str) -> Tag | None:
        """The API finds all tags that hold the name; the one that is the name counts."""
        found = _TAGS.validate_python(await api.json("/tag.json", {"name": name, "limit": "100"}) or [])
        return next((Tag(each.name, each.count, each.type == CHARACTER) for each in found if each.name == name), None)

    async def page(self, api: Api, tag: str, number: int, ratings: Collection[str]) -> list[Post] | None:
        """At most 100 posts a page, by the API's own rules."""
        tags = rated(tag, self.words, ratings)
        answer = await api.json("/post.json", {"tags": tags, "limit": str(PAGE), "page": str(number + 1)})
        return [_post(each, api, self.words) for each in _POSTS.validate_python(answer or [])] or None


def _post(post: _Post, api: Api, words: dict[str, str]) -> Post:
    return Post(
        site=api.site.name,
        id=str(post.id),
        url=absolute(post.file_url, api.site),
        page=f"{api.site.url}/post/show/{post.id}",
        rating=rating_of(post.rating, api, words),
        md5=post.md5,
        width=post.width,
        height=post.height,
        size=post.file_size,
        tags=tuple(post.tags.split()),
        source=post.source or "",
        parent=str(post.parent_id or ""),
    )
