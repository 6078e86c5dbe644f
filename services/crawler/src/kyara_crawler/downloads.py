"""From posts to pictures: each is fetched once, whatever is killed meanwhile, and checked before it counts."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts import BadPicture, Store, canonical_json, read_picture
from kyara_crawler.sites import Site
from kyara_crawler.source import Post
from kyara_crawler.web import Away, Reach, Unfetched, Web

MOST_FAILURES = 5
"""In a row; then a host is left alone for the rest of the crawl."""


class Bad(Exception):
    """A post's picture cannot be used, for the reason that the message says."""


@dataclass(frozen=True)
class Fetched:
    """A post's picture, kept as it came once it was decoded whole."""

    digest: Digest
    width: int
    height: int
    pixels: str
    """SHA-256 of what it shows."""


class Downloads:
    """Fetches pictures. What was fetched is on record, so that another attempt at the same action asks for none of it again."""

    def __init__(
        self, web: Web, store: Store, action: str, sites: Mapping[str, Site], *, most_bytes: int, most_pixels: int, at_once: int
    ) -> None:
        self._web = web
        self._store = store
        self._action = action
        self._sites = sites
        self._most_bytes = most_bytes
        self._most_pixels = most_pixels
        self._at_once = at_once
        self._known = {record.name for record in store.list_records(f"downloads/{action}")}
        """Records of earlier attempts."""
        self._failures: Counter[str] = Counter()
        """In a row, by host."""

    async def of(self, posts: Sequence[Post], most: int) -> AsyncGenerator[tuple[Post, Fetched | Bad], None]:
        """Each post with its picture, in order, some fetched ahead, but no more than `most` good ones take."""
        left = most
        ahead: list[tuple[Post, asyncio.Task[Fetched | Bad]]] = []
        waiting = iter(posts)
        try:
            while True:
                while len(ahead) < max(1, min(self._at_once, left)) and (post := next(waiting, None)):
                    ahead.append((post, asyncio.create_task(self._got(post))))
                if not ahead:
                    return
                post, task = ahead.pop(0)
                got = await task
                left -= isinstance(got, Fetched)
                yield post, got
        finally:
            for _, task in ahead:
                task.cancel()
            await asyncio.gather(*(task for _, task in ahead), return_exceptions=True)

    async def _got(self, post: Post) -> Fetched | Bad:
        if self._record(post) in self._known:
            return _from_record(json.loads(await asyncio.to_thread(self._store.get_record, self._record(post)) or b"{}"))
        host = urlsplit(post.url).netloc
        if self._failures[host] >= MOST_FAILURES:
            return Bad(f"{host} is left alone after {MOST_FAILURES} failures in a row")
        try:
            data = await self._web.get(post.url, self._reach(post), headers=self._shown(post))
            self._failures[host] = 0
        except Away as error:
            self._failures[host] += 1
            return Bad(str(error))
        except Unfetched as error:
            return await asyncio.to_thread(self._kept, post, Bad(str(error)))
        return await asyncio.to_thread(lambda: self._kept(post, self._checked(post, data)))

    def _reach(self, post: Post) -> Reach:
        site = self._sites.get(post.site)
        hosts, per_second = (site.hosts, site.per_second) if site else ((urlsplit(post.url).hostname or "",), 1.0)
        return Reach(hosts, per_second, self._most_bytes)

    def _shown(self, post: Post) -> dict[str, str]:
        site = self._sites.get(post.site)
        return {"Referer": site.referer} if site and site.referer else {}

    def _checked(self, post: Post, data: bytes) -> Fetched | Bad:
        if post.md5 and hashlib.md5(data, usedforsecurity=False).hexdigest() != post.md5:
            return Bad(f"its bytes are not those that {post.site} speaks of (MD5 {post.md5})")
        try:
            picture = read_picture(data, self._most_pixels)
        except BadPicture as error:
            return Bad(str(error))
        pixels = hashlib.sha256(picture.tobytes()).hexdigest()
        return Fetched(self._store.put(data), picture.width, picture.height, pixels)

    def _kept(self, post: Post, got: Fetched | Bad) -> Fetched | Bad:
        """What will not be otherwise if it is asked for again."""
        told = {"bad": str(got)} if isinstance(got, Bad) else _as_record(got)
        self._store.put_record(self._record(post), canonical_json(told))
        return got

    def _record(self, post: Post) -> str:
        return f"downloads/{self._action}/{hashlib.sha256(post.key.encode()).hexdigest()}"


def _as_record(got: Fetched) -> dict[str, str | int]:
    digest = {"sha256": got.digest.sha256, "size": got.digest.size_bytes}
    return {**digest, "width": got.width, "height": got.height, "pixels": got.pixels}


def _from_record(told: dict) -> Fetched | Bad:
    if "bad" in told:
        return Bad(told["bad"])
    return Fetched(Digest(sha256=told["sha256"], size_bytes=told["size"]), told["width"], told["height"], told["pixels"])
