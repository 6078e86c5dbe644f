"""The sites that the crawler knows: data, in sites.yaml or a file of one's own."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Word = Literal["general", "sensitive", "questionable", "explicit"]

REFUSED = ("lolibooru", "atfbooru", "allthefallen", "booru.plus", "shotabooru", "lolicit", "tbib.org")
"""Sites that host sexualised minors, or mirror such sites. Whatever a file says, nothing is asked of them."""


class Site(BaseModel):
    """A site."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    family: str
    """What its software is: danbooru, moebooru, gelbooru, e621, szurubooru; or gallery-dl, which knows many more."""
    url: str
    """Of its front page, without a slash at the end."""
    files: tuple[str, ...] = ()
    """Other hosts that its pictures are at; `*.` before a name takes what is under it."""
    per_second: float = Field(default=1.0, ge=0)
    """Requests to each of its hosts, at most; 0 sets no limit."""
    most: int | None = Field(default=None, ge=1)
    """Pictures of one crawl, at most."""
    ratings: dict[str, Word] = Field(default_factory=dict)
    """The site's words for ratings, where they mean something else than its family's."""
    unrated: Word = "explicit"
    """What pictures without a rating count as."""
    canary: str = "1girl"
    """A tag that is surely there."""
    referer: str = ""
    """What its file hosts want to see as the page that a picture is on."""
    search: str = ""
    """For gallery-dl: link to what the site finds for `{tag}`; with `philomena:` before it where only the software is known."""
    lists: tuple[str, ...] = ()
    """For gallery-dl: other hosts that it asks to list the site."""
    page: str = ""
    """For gallery-dl: link to the page of the post `{id}`."""
    spelling: Literal["underscores", "words"] = "underscores"
    """How the site writes a tag: hatsune_miku, or Hatsune Miku."""
    rating_key: str = "rating"
    """For gallery-dl: what it calls the rating; `tags` where it is one of the tags."""
    gallery_dl: dict[str, Any] = Field(default_factory=dict)
    """More options of gallery-dl's `extractor`."""
    asked: bool = True
    """Whether it is asked when nobody names it."""

    @field_validator("url")
    @classmethod
    def _no_refused_site(cls, url: str) -> str:
        host = urlsplit(url).hostname or ""
        if any(word in host for word in REFUSED):
            raise ValueError(f"{host} is refused: it hosts sexualised minors, or mirrors a site that does")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _search_is_there(self) -> Self:
        if self.search and not re.fullmatch(rf"(\w+:)?{re.escape(self.url)}/.*\{{tag\}}.*", self.search):
            raise ValueError(f"site {self.name}: search must be a link below {self.url} with {{tag}} in it")
        return self

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where its pictures may be."""
        return (urlsplit(self.url).hostname or "", *self.files)


def known_sites(file: Path | None) -> dict[str, Site]:
    """The sites of a file, or those that are shipped, by name. Raises ValueError for what is wrong with them."""
    text = file.read_text() if file else files("kyara_crawler").joinpath("sites.yaml").read_text()
    sites = [Site.model_validate(each) for each in yaml.safe_load(text)["sites"]]
    named = {site.name: site for site in sites}
    if len(named) < len(sites):
        raise ValueError("two sites have the same name")
    return named
