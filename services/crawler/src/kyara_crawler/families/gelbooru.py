"""Gelbooru 0.2 and its descendants: https://safebooru.org/index.php?page=help&topic=dapi, and Gelbooru's own howto:api.

Posts come as JSON: a list, or an object whose `post` is the list and is left out when there is none. Tags come as XML from
the older ones and as JSON from Gelbooru itself.
"""

import json
import re
from collections.abc import Collection
from typing import Any
from xml.etree import ElementTree

from pydantic import BaseModel, TypeAdapter

from kyara_crawler.booru import Api, Tag, absolute, rating_of
from kyara_crawler.source import Post, SiteFailed

PAGE = 100
CHARACTER = 4
_PATH = "/index.php"


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
    directory: str | int | None = None
    """The oldest tell folder and name of a picture and no link."""
    image: str | None = None
    md5: str = ""
    hash: str = ""
    source: str | None = ""
    parent_id: int | str | None = None


_TAGS, _POSTS = TypeAdapter(list[_Tag]), TypeAdapter(list[_Post])


class Gelbooru:
    """The family."""

    words = {  # noqa: RUF012
        "general": "general",
        "safe": "general",
        "sensitive": "sensitive",
        "questionable": "questionable",
        "explicit": "explicit",
        "s": "general",
        "q": "questionable",
        "e": "explicit",
    }

    async def find_tag(self, api: Api, name: str) -> Tag | None:
        """By its name; searches follow aliases by themselves."""
        text = await api.text(_PATH, {"page": "dapi", "s": "tag", "q": "index", "json": "1", "name": name})
        found = _TAGS.validate_python(_tags_in(text, api))
        return next((Tag(each.name, each.count, each.type == CHARACTER) for each in found if each.name == name), None)

    async def page(self, api: Api, tag: str, number: int, ratings: Collection[str]) -> list[Post] | None:
        """Ratings are told apart afterwards: the family's words for them differ from site to site."""
        del ratings
        asked = {"page": "dapi", "s": "post", "q": "index", "json": "1", "tags": tag, "limit": str(PAGE), "pid": str(number)}
        answer = await api.json(_PATH, asked)
        found = answer.get("post", []) if isinstance(answer, dict) else answer or []
        return [_post(each, api, self.words) for each in _POSTS.validate_python(found)] or None


def _tags_in(text: str, api: Api) -> list[dict[str, Any]]:
    if not text.strip():
        return []
    if text.lstrip().startswith("<"):
        return _tags_in_xml(text, api)
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise SiteFailed(f"{api.site.url} answers neither XML nor JSON for a tag; it has changed") from error
    return answer.get("tag", []) if isinstance(answer, dict) else answer


def _tags_in_xml(text: str, api: Api) -> list[dict[str, Any]]:
    # A document type could define entities that grow without end; tags need none.
    if re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise SiteFailed(f"{api.site.url} answers a page for a tag; it wants a login, or has changed")
    try:
        return [dict(each.attrib) for each in ElementTree.fromstring(text).iter("tag")]
    except ElementTree.ParseError as error:
        raise SiteFailed(f"{api.site.url} answers broken XML for a tag: {error}") from error


def _post(post: _Post, api: Api, words: dict[str, str]) -> Post:
    url = post.file_url or (f"images/{post.directory}/{post.image}" if post.directory is not None and post.image else "")
    return Post(
        site=api.site.name,
        id=str(post.id),
        url=absolute(url, api.site),
        page=f"{api.site.url}/index.php?page=post&s=view&id={post.id}",
        rating=rating_of(post.rating, api, words),
        md5=post.md5 or (post.hash if re.fullmatch("[0-9a-f]{32}", post.hash) else ""),
        width=post.width,
        height=post.height,
        tags=tuple(post.tags.split()),
        source=post.source or "",
        parent=str(post.parent_id or ""),
    )
