"""From a character's name to posts: every site is asked at once, and each gives one in turn until there are enough."""

import asyncio
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kyara_crawler.sites import Site
from kyara_crawler.source import Post, SiteFailed, Source, Unresolved

AHEAD = 100
"""Posts of a site that wait for their turn."""
PICTURES = ("png", "jpg", "jpeg", "webp", "avif")
_A_FILE = re.compile(rf"https?://[^?#]+\.({'|'.join(PICTURES)})", re.IGNORECASE)


@dataclass
class Row:
    """What came of a site."""

    site: str
    state: str = "ok"
    """ok, unresolved, or failed."""
    tag: str = ""
    offered: int = 0
    taken: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Posts that were not taken, by the reason."""
    said: str = ""
    """Why it is not ok."""

    def as_json(self) -> dict[str, Any]:
        """For the result's table."""
        return {**vars(self), "left_out": dict(sorted(self.left_out.items()))}


@dataclass(frozen=True)
class Wanted:
    """What to look for."""

    name: str
    most: int
    """Posts in all."""
    ratings: Collection[str]
    tags: Mapping[str, str]
    """Tags by the names of sites, where the name does not lead to it."""


async def posts_of(wanted: Wanted, sources: Sequence[tuple[Site, Source]]) -> tuple[list[Post], list[Row]]:
    """Posts in the order in which to fetch them, and what came of each site. A site that fails gives what it gave so far."""
    rows = [Row(site.name) for site, _ in sources]
    queues: list[asyncio.Queue[Post | None]] = [asyncio.Queue(AHEAD) for _ in sources]
    tasks = [
        asyncio.create_task(_ask(wanted, site, source, row, queue))
        for (site, source), row, queue in zip(sources, rows, queues, strict=True)
    ]
    try:
        posts = await _in_turn(wanted, [(site, row, queue) for (site, _), row, queue in zip(sources, rows, queues, strict=True)])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return posts, rows


async def _ask(wanted: Wanted, site: Site, source: Source, row: Row, queue: asyncio.Queue[Post | None]) -> None:
    """Queue what a site has, then None."""
    try:
        await source.canary()
        row.tag = wanted.tags.get(site.name) or await source.resolve(wanted.name)
        async for post in source.search(row.tag, wanted.ratings):
            await queue.put(post)
    except Unresolved as error:
        row.state, row.said = "unresolved", str(error)
    except SiteFailed as error:
        row.state, row.said = "failed", str(error)
    await queue.put(None)


async def _in_turn(wanted: Wanted, asked: list[tuple[Site, Row, asyncio.Queue[Post | None]]]) -> list[Post]:
    """One of each site in turn; versions of pictures that are there wait until no site has another picture."""
    posts: list[Post] = []
    seen: set[str] = set()
    versions: list[tuple[Site, Row, Post]] = []
    while asked and len(posts) < wanted.most:
        for each in list(asked):
            site, row, queue = each
            while (post := await _next_good(wanted, row, queue, seen)) and _family(post) in seen:
                versions.append((site, row, post))
            if post is None:
                asked.remove(each)
                continue
            seen.add(_family(post))
            posts.append(post)
            row.taken += 1
            if row.taken == site.most:
                asked.remove(each)
            if len(posts) == wanted.most:
                break
    for site, row, post in versions:
        if len(posts) < wanted.most and row.taken < (site.most or wanted.most):
            posts.append(post)
            row.taken += 1
        else:
            row.left_out["a version of one that is there"] += 1
    return posts


async def _next_good(wanted: Wanted, row: Row, queue: asyncio.Queue[Post | None], seen: set[str]) -> Post | None:
    """A site's next post that is wanted and not there yet; None when it has no more."""
    while post := await queue.get():
        row.offered += 1
        names = _names(post)
        if reason := _unwanted(post, wanted.ratings):
            row.left_out[reason] += 1
        elif seen & names:
            row.left_out["there already"] += 1
        else:
            seen |= names
            return post
    return None


def _family(post: Post) -> str:
    """What versions of one picture have in common on a site, as far as it says so: the same drawing in other clothes, or
    another mood."""
    # Some sites say 0 where there is no parent.
    return f"versions of {post.site}-{post.id if post.parent in ('', '0') else post.parent}"


def _unwanted(post: Post, ratings: Collection[str]) -> str:
    if post.rating not in ratings:
        return f"rated {post.rating}"
    if not post.url:
        return "no link to a picture: a login is needed, or it is a video"
    if post.url.partition("?")[0].rpartition(".")[2].lower() not in PICTURES:
        return "no picture"
    return ""


def _names(post: Post) -> set[str]:
    """What two posts of the same picture have in common: its bytes, or the very file that it comes from."""
    source = f"from {post.source}" if _A_FILE.fullmatch(post.source) else ""
    return {name for name in (post.key, post.md5, source) if name}
