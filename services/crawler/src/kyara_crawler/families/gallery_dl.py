"""Sites that gallery-dl knows (https://github.com/mikf/gallery-dl): it lists their posts, as a program of its own.

It fetches nothing. It is under the GPL and is run, never imported. What it says of a post differs from site to site: `Site`
says which of its words is the rating. It ends well whatever happened, so that an empty answer means something only beside
a canary's.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from kyara_crawler.rates import Rates
from kyara_crawler.sites import Site
from kyara_crawler.source import Post, SiteFailed, Unresolved
from kyara_crawler.spelling import spellings

POSTS_AT_ONCE = 100
MOST_POSTS = 2_000
TRIED = 3
"""Spellings; each costs a search, since these sites tell nothing of a tag alone."""
WITHIN_S = 900.0
MOST_ANSWER_BYTES = 64 << 20
_URL, _ERROR = 3, -1
"""Kinds of messages of `--dump-json`."""


class GalleryDl:
    """A site as a Source."""

    def __init__(self, site: Site, rates: Rates, user_agent: str, login: Mapping[str, str]) -> None:
        self._site = site
        self._rates = rates
        self._user_agent = user_agent
        self._login = login

    async def canary(self) -> None:
        """A tag that is surely there has posts."""
        if not await self._listed(self._site.canary, 1, 1):
            where = f"{self._site.url} shows nothing for {self._site.canary!r}"
            raise SiteFailed(f"{where}; it has changed, or wants a login (logins.{self._site.name})")

    async def resolve(self, name: str) -> str:
        """The first spelling that has posts."""
        tried = spellings(name, self._site.spelling)[:TRIED]
        for spelling in tried:
            if await self._listed(spelling, 1, 1):
                return spelling
        raise Unresolved(tried)

    async def search(self, tag: str, ratings: Collection[str]) -> AsyncIterator[Post]:
        """A hundred at a time; ratings are told apart afterwards."""
        del ratings
        for first in range(1, MOST_POSTS, POSTS_AT_ONCE):
            posts = await self._listed(tag, first, first + POSTS_AT_ONCE - 1)
            for post in posts:
                yield post
            if len(posts) < POSTS_AT_ONCE:
                return

    async def _listed(self, tag: str, first: int, last: int) -> list[Post]:
        """Posts from the `first` to the `last`, counted from 1. Raises SiteFailed."""
        host = urlsplit(self._site.url).hostname or ""
        async with self._rates.alone(host):
            answer = await self._run(self._site.search.replace("{tag}", quote(tag, safe="")), f"{first}-{last}")
        try:
            messages = json.loads(answer or b"[]")
        except ValueError as error:
            raise SiteFailed(f"{self._site.url}: gallery-dl ended in the middle of its answer") from error
        for message in messages:
            if message[0] == _ERROR:
                raise SiteFailed(f"{self._site.url}: {message[1].get('error')}: {message[1].get('message')}")
        return [_post(message[1], message[2], self._site) for message in messages if message[0] == _URL]

    async def _run(self, url: str, posts: str) -> bytes:
        with tempfile.TemporaryDirectory(prefix="kyara-") as folder:
            config = Path(folder) / "config.json"
            config.touch(mode=0o600)
            config.write_text(json.dumps(self._config(folder)))
            command = [sys.executable, "-m", "gallery_dl", "--config-ignore", "--config-json", str(config), "--no-download"]
            process = await asyncio.create_subprocess_exec(
                *command, "--dump-json", "--range", posts, "--", url,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                cwd=folder, start_new_session=True, limit=MOST_ANSWER_BYTES,
            )  # fmt: skip
            try:
                async with asyncio.timeout(WITHIN_S):
                    return await self._answer(process)
            except TimeoutError as error:
                raise SiteFailed(f"{self._site.url} did not answer within {WITHIN_S:g} s") from error
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    async def _answer(self, process: asyncio.subprocess.Process) -> bytes:
        assert process.stdout
        answer = bytearray()
        while piece := await process.stdout.read(1 << 20):
            answer += piece
            if len(answer) > MOST_ANSWER_BYTES:
                raise SiteFailed(f"{self._site.url} answers more than {MOST_ANSWER_BYTES} bytes")
        await process.wait()
        return bytes(answer)

    def _config(self, folder: str) -> dict[str, Any]:
        rules = {
            "base-directory": folder,
            # Its own is a browser's name.
            "user-agent": self._user_agent,
            "browser": "",
            "sleep-request": self._rates.interval(self._site.per_second),
            "timeout": 30,
            "retries": 2,
        }
        return {"extractor": {**self._site.gallery_dl, **rules, **self._login}, "cache": {"file": None}}


def _post(url: str, told: Mapping[str, Any], site: Site) -> Post:
    return Post(
        site=site.name,
        id=str(told.get("id", "")) + (f"_{told['num']}" if told.get("num") else ""),
        url=url,
        page=site.page.replace("{id}", str(told.get("id", ""))),
        rating=_rating(told.get(site.rating_key), site),
        md5=str(told.get("md5") or ""),
        width=int(told.get("width") or 0),
        height=int(told.get("height") or 0),
        tags=_tags(told.get("tags")),
        source=str(told.get("source") or ""),
        parent=str(told.get("parent_id") or ""),
    )


def _rating(told: Any, site: Site) -> str:
    """A word, or the one among a list of tags that is a rating."""
    words = told if isinstance(told, list) else [told]
    return next((site.ratings[str(word)] for word in words if str(word) in site.ratings), site.unrated)


def _tags(told: Any) -> tuple[str, ...]:
    tags = told.split() if isinstance(told, str) else told if isinstance(told, list) else []
    return tuple(tag.get("name", "") if isinstance(tag, dict) else str(tag) for tag in tags)
