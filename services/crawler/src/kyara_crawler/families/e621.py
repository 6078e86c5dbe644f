"""e621 and e926: https://e621.net/help/api. An empty list of tags comes as `{"tags": []}`."""

from collections.abc import Collection
from typing import Any

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


class _File(BaseModel):
    width: int
    height: int
    size: int
    md5: str
    url: str | None
    """Null where the site shows a picture to members only."""


class _Relationships(BaseModel):
    parent_id: int | None = None


class _Post(BaseModel):
    id: int
    rating: str
    file: _File
    tags: dict[str, list[str]]
    sources: list[str] = []
    relationships: _Relationships = _Relationships()


class _Posts(BaseModel):
    posts: list[_Post]


_TAGS, _ALIASES = TypeAdapter(list[_Tag]), TypeAdapter(list[_Alias])


class E621:
    """The family."""

    words = {"s": "general", "q": "questionable", "e": "explicit"}  # noqa: RUF012

    async def find_tag(self, api: Api, name: str) -> Tag | None:
        """By its name, or where an active alias leads."""
        found = _TAGS.validate_python(_listed(await api.json("/tags.json", {"search[name_matches]": name}), "tags"))
        for each in found:
            if each.name == name and each.post_count:
                return Tag(each.name, each.post_count, each.category == CHARACTER)
        asked = {"search[antecedent_name]": name, "search[status]": "active"}
        aliases = _ALIASES.validate_python(_listed(await api.json("/tag_aliases.json", asked), "tag_aliases"))
        return await self.find_tag(api, aliases[0].consequent_name) if aliases and aliases[0].consequent_name != name else None

    async def page(self, api: Api, tag: str, number: int, ratings: Collection[str]) -> list[Post] | None:
        """By page numbers, of which the site gives 750."""
        tags = rated(tag, self.words, ratings)
        answer = await api.json("/posts.json", {"tags": tags, "limit": str(PAGE), "page": str(number + 1)})
        posts = _Posts.model_validate(answer or {"posts": []}).posts
        return [_post(each, api, self.words) for each in posts] or None


def _listed(answer: Any, key: str) -> list[Any]:
    return answer.get(key, answer) if isinstance(answer, dict) else answer or []


def _post(post: _Post, api: Api, words: dict[str, str]) -> Post:
    return Post(
        site=api.site.name,
        id=str(post.id),
        url=absolute(post.file.url, api.site),
        page=f"{api.site.url}/posts/{post.id}",
        rating=rating_of(post.rating, api, words),
        md5=post.file.md5,
        width=post.file.width,
        height=post.file.height,
        size=post.file.size,
        tags=tuple(tag for kind in post.tags.values() for tag in kind),
        source=next(iter(post.sources), ""),
        parent=str(post.relationships.parent_id or ""),
    )
