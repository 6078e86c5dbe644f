"""What a site is to the crawler: something that knows the character's tag, lists its posts, and can be tried out."""

from collections.abc import AsyncIterator, Collection
from typing import Protocol

from pydantic import BaseModel, ConfigDict

RATINGS = ("general", "sensitive", "questionable", "explicit")
"""The crawler's words, from what anybody may see to what only adults may; each family maps its own to these."""


class Post(BaseModel):
    """A picture that a site offers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    site: str
    id: str
    url: str
    """Of the picture itself, as large as the site has it."""
    page: str = ""
    """Where people look at it."""
    rating: str = "general"
    md5: str = ""
    """Of the picture's bytes, as the site tells it; empty when it does not."""
    width: int = 0
    height: int = 0
    size: int = 0
    tags: tuple[str, ...] = ()
    source: str = ""
    """Where the site says that it comes from."""
    parent: str = ""
    """Id of the post that it is a version of: a hint, no more."""

    @property
    def key(self) -> str:
        """Unique over all sites."""
        return f"{self.site}-{self.id}"


class SiteFailed(Exception):
    """A site does not answer, refuses, or answers otherwise than its API is documented; the message says what to do."""


class Unresolved(Exception):
    """A site has no tag for a name. `tried` are the spellings that it was asked for."""

    def __init__(self, tried: Collection[str]) -> None:
        super().__init__(f"no character tag among: {', '.join(tried)}; give the site's own tag")
        self.tried = list(tried)


class Source(Protocol):
    """A site, or a list. Every method raises SiteFailed."""

    async def canary(self) -> None:
        """Ask for something that is surely there: a site that changed, or wants a login, looks just like an empty one."""
        ...

    async def resolve(self, name: str) -> str:
        """The site's tag for a character. Raises Unresolved."""
        ...

    def search(self, tag: str, ratings: Collection[str]) -> AsyncIterator[Post]:
        """The tag's posts of these ratings, as far as the site can tell them apart."""
        ...
