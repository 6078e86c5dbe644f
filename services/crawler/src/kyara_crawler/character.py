"""A character's pictures on the web: `pin` finds posts and links, `fetch` makes an image set of them."""

import hashlib
import mimetypes
from collections import Counter
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

from kyara.crawler.v1.crawler_pb2 import WebSource
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Image, ImageSet, get_json, put_json
from kyara_crawler.crawl import Row, Wanted, posts_of
from kyara_crawler.downloads import Bad, Downloads, Fetched
from kyara_crawler.families import source_of
from kyara_crawler.rates import Rates
from kyara_crawler.settings import CrawlerSettings
from kyara_crawler.sites import Site, known_sites
from kyara_crawler.source import RATINGS, Post
from kyara_crawler.web import Web
from kyara_stage import Outputs, StageContext, StageError

POSTS = "posts"
DEFAULT_MOST = 200
MOST = 10_000
SPARE = 1.5
"""Posts that are pinned for each picture that is wanted: some turn out to be none, or to be there already."""
LINKS = "links"
"""What links that people give have as their site."""

Context = StageContext[CrawlerSettings]


async def pin(ctx: Context, asked: WebSource) -> Outputs:
    """What the web offers at this moment: `pinned` (posts), and what came of each site."""
    try:
        sites = _sites(ctx.settings, asked)
        wanted = _wanted(asked)
    except ValueError as error:
        raise StageError.invalid(str(error)) from error
    links = [_link(url) for url in dict.fromkeys(asked.urls)]
    posts: list[Post] = []
    rows: list[Row] = []
    if wanted.name or asked.tags:
        ctx.progress("asking sites", 0, len(sites), "sites")
        async with _web(ctx.settings) as web:
            try:
                sources = [(site, source_of(site, web, ctx.settings.logins.get(site.name, {}))) for site in sites]
            except ValueError as error:
                raise StageError.invalid(str(error)) from error
            posts, rows = await posts_of(wanted, sources)
    _check(links + posts, rows)
    pinned = {
        "most": asked.limit or DEFAULT_MOST,
        "posts": [post.model_dump(mode="json", exclude_defaults=True) for post in links + posts],
        "sites": [row.as_json() for row in rows],
    }
    return {"pinned": put_json(ctx.store, POSTS, pinned)}


async def fetch(ctx: Context, pinned: ArtifactRef, max_pixels: int) -> Outputs:
    """The pictures of pinned posts, in order, until there are as many as were asked for; and the table of sites."""
    told = get_json(ctx.store, pinned)
    posts = [Post.model_validate(post) for post in told["posts"]]
    collected = _Collected()
    async with _web(ctx.settings) as web:
        downloads = Downloads(
            web,
            ctx.store,
            ctx.action_sha256,
            known_sites(ctx.settings.sites),
            most_bytes=ctx.settings.max_file_bytes,
            most_pixels=max_pixels,
            at_once=ctx.settings.downloads,
        )
        async with aclosing(downloads.of(posts, told["most"])) as pictures:
            async for post, got in pictures:
                if reason := collected.add(post, got):
                    ctx.reject(post.key, reason)
                ctx.progress("fetching", len(collected.images), min(told["most"], len(posts)), "pictures")
                if len(collected.images) == told["most"]:
                    break
    if not collected.images:
        raise StageError.unavailable(f"none of {len(posts)} pictures can be fetched: {_most_common(ctx.rejected)}")
    meta = {"posts": {post.key: post.model_dump(mode="json", exclude_defaults=True) for post in collected.posts}}
    table = [row | {"fetched": collected.by_site[row["site"]]} for row in told["sites"]]
    return {
        "images": ImageSet(images=tuple(collected.images), meta=meta).save(ctx.store),
        "sites": put_json(ctx.store, "sites", table),
    }


class _Collected:
    """Pictures so far, each once."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self.images: list[Image] = []
        self.posts: list[Post] = []
        self.by_site: Counter[str] = Counter()

    def add(self, post: Post, got: Fetched | Bad) -> str:
        """Why a picture is not taken; empty when it is."""
        if isinstance(got, Bad):
            return str(got)
        if got.pixels in self._first:
            return f"the same picture as {self._first[got.pixels]}"
        self._first[got.pixels] = post.key
        self.posts.append(post)
        self.by_site[post.site] += 1
        size = {"sha256": got.digest.sha256, "size": got.digest.size_bytes, "width": got.width, "height": got.height}
        kind = mimetypes.guess_type(urlsplit(post.url).path)[0] or "image/png"
        self.images.append(Image(name=post.key, media_type=kind, source=post.page or post.url, **size))
        return ""


def _web(settings: CrawlerSettings) -> Web:
    return Web(
        Rates(settings.rates, 1 / settings.replicas),
        settings.contact,
        allow_private=settings.allow_private,
        within_s=settings.within_s,
        longest_wait_s=settings.longest_wait_s,
    )


def _sites(settings: CrawlerSettings, asked: WebSource) -> list[Site]:
    """The sites to ask. Raises ValueError for one that nobody knows."""
    known = known_sites(settings.sites)
    if unknown := [name for name in [*asked.sites, *asked.tags] if name not in known]:
        raise ValueError(f"web.sites: there is no site {unknown[0]!r}; there are {', '.join(known)}")
    return [known[name] for name in asked.sites] or [site for site in known.values() if site.asked or site.name in asked.tags]


def _wanted(asked: WebSource) -> Wanted:
    """Raises ValueError for what makes no sense."""
    if not (asked.name.strip() or asked.urls or asked.tags):
        raise ValueError("web.name: name a character, or give links to pictures")
    if not 0 <= asked.limit <= MOST:
        raise ValueError(f"web.limit: must be 1 to {MOST}, or 0 for {DEFAULT_MOST}")
    if wrong := [word for word in asked.ratings if word not in RATINGS]:
        raise ValueError(f"web.ratings: there is no rating {wrong[0]!r}; there are {', '.join(RATINGS)}")
    most = round(SPARE * (asked.limit or DEFAULT_MOST))
    return Wanted(asked.name.strip(), most, tuple(asked.ratings) or RATINGS[:1], dict(asked.tags))


def _link(url: str) -> Post:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StageError.invalid(f"web.urls: {url[:200]!r} is no http or https link; copy it again, whole")
    return Post(site=LINKS, id=hashlib.sha256(url.encode()).hexdigest()[:16], url=url)


def _check(posts: list[Post], rows: list[Row]) -> None:
    """Raises StageError when nothing was found: for good when every site answered."""
    if posts:
        return
    table = "; ".join(f"{row.site}: {row.said or dict(row.left_out) or 'nothing'}" for row in rows)
    if rows and all(row.state == "failed" for row in rows):
        raise StageError.unavailable(f"no site answers: {table}")
    raise StageError.precondition(f"no site has pictures of this character: {table}")


def _most_common(rejected: list[dict[str, Any]]) -> str:
    ((reason, _),) = Counter(each["reason"] for each in rejected).most_common(1) or [("there is none", 0)]
    return reason
