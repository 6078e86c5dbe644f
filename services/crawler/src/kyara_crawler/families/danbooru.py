"""Danbooru: https://danbooru.donmai.us/wiki_pages/help:api."""

from collections.abc import Collection

from pydantic import BaseModel, TypeAdapter

from kyara_crawler.booru import Api, Tag, absolute, rated, rating_of
from kyara_crawler.source import Post

PAGE = 100
CHARACTER = 4


class _Tag(BaseModel):
    name: str
    post_count: int
    category: int


class _Alias(BaseModel):
    consequent_name: str


class _Post(BaseModel):
    id: int
    rating: str | None
    tag_string: str
    image_width: int
    image_height: int
    file_url: str | None = None
    """Left out of posts that a login, or a better one, is needed for."""
    md5: str | None = None
    file_size: int = 0
    source: str = ""
    parent_id: int | None = None


_TAGS, _ALIASES, _POSTS = TypeAdapter(list[_Tag]), TypeAdapter(list[_Alias]), TypeAdapter(list[_Post])


class Danbooru:
    """The family."""

    words = {"g": "general", "s": "sensitive", "q": "questionable", "e": "explicit"}  # noqa: RUF012

    async def find_tag(self, api: Api, name: str) -> Tag | None:
        """Of active aliases the site tells where they lead; the old name has no posts of its own."""
        found = _TAGS.validate_python(await api.json("/tags.json", {"search[name]": name}) or [])
        if found and found[0].post_count:
            return Tag(found[0].name, found[0].post_count, found[0].category == CHARACTER)
        asked = {"search[antecedent_name]": name, "search[status]": "active"}
        aliases = _ALIASES.validate_python(await api.json("/tag_aliases.json", asked) or [])
        return await self.find_tag(api, aliases[0].consequent_name) if aliases and aliases[0].consequent_name != name else None

    async def page(self, api: Api, tag: str, number: int, ratings: Collection[str]) -> list[Post] | None:
        """Two tags a search are free to everybody: the character's, and a rating when there is just one."""
        tags = rated(tag, self.words, ratings)
        posts = _POSTS.validate_python(
            await api.json("/posts.json", {"tags": tags, "limit": str(PAGE), "page": str(number + 1)}) or []
        )
        return [_post(each, api, self.words) for each in posts] or None


def _post(post: _Post, api: Api, words: dict[str, str]) -> Post:
    return Post(
        site=api.site.name,
        id=str(post.id),
        url=absolute(post.file_url, api.site),
        page=f"{api.site.url}/posts/{post.id}",
        rating=rating_of(post.rating or "", api, words),
        md5=post.md5 or "",
        width=post.image_width,
        height=post.image_height,
        size=post.file_size,
        tags=tuple(post.tag_string.split()),
        source=post.source,
        parent=str(post.parent_id or ""),
    )
