"""A rate for each host that holds for all processes of a machine: actions run in processes of their own.

Several crawlers keep a rate together by keeping a share of it each, which needs no word between them and holds even when
none comes through.
"""

import asyncio
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

SLACK = 1.025
"""Times the time between two requests: what is sent evenly does not arrive quite so."""
LONGEST_S = 3600.0
"""A turn further away is from a clock that was wrong."""


class Rates:
    """Turns at hosts, in files that are locked while they are read and written."""

    def __init__(self, folder: Path, share: float = 1.0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._share = share

    async def turn(self, host: str, per_second: float) -> None:
        """Wait until `host` may be asked; 0 sets no limit, but holds still count."""
        interval = SLACK / (per_second * self._share) if per_second else 0.0
        while wait_s := self._take(host, interval):
            await asyncio.sleep(wait_s)

    def hold(self, host: str, seconds: float) -> None:
        """Nobody asks `host` for so long."""
        with self._file(host) as file:
            _write(file, max(_read(file), time.time() + seconds))

    def _take(self, host: str, interval: float) -> float:
        """0 when the turn is taken, and the next one is `interval` s away; else how long to wait before trying again.

        A turn counts from when it is taken: those who come late do not crowd.
        """
        # The lock is held for as long as it takes to write a number.
        with self._file(host) as file:
            now, free = time.time(), _read(file)
            if free > now:
                return free - now
            _write(file, now + interval)
            return 0.0

    @contextmanager
    def _file(self, host: str) -> Iterator[IO[str]]:
        with (self._folder / quote(host, safe="")).open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _read(file: IO[str]) -> float:
    """When the next turn is free."""
    file.seek(0)
    free = float(file.read() or 0)
    return free if free < time.time() + LONGEST_S else 0.0


def _write(file: IO[str], free: float) -> None:
    file.truncate(0)
    file.write(repr(free))
    file.flush()
