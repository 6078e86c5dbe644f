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
        interval = 1 / (per_second * self._share) if per_second else 0.0
        while True:
            # A lock is held for as long as it takes to write two numbers.
            at = self._reserve(host, interval)
            if at <= time.time():
                return
            await asyncio.sleep(at - time.time())
            if self._held_until(host) <= time.time():
                return

    def hold(self, host: str, seconds: float) -> None:
        """Nobody asks `host` for so long."""
        with self._file(host) as file:
            free, held = _read(file)
            _write(file, free, max(held, time.time() + seconds))

    def _reserve(self, host: str, interval: float) -> float:
        """The time of the next free turn, which is then taken."""
        with self._file(host) as file:
            free, held = _read(file)
            at = max(time.time(), free, held)
            _write(file, at + interval, held)
            return at

    def _held_until(self, host: str) -> float:
        with self._file(host) as file:
            return _read(file)[1]

    @contextmanager
    def _file(self, host: str) -> Iterator[IO[str]]:
        with (self._folder / quote(host, safe="")).open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _read(file: IO[str]) -> tuple[float, float]:
    """When the next turn is free, and until when the host is held."""
    file.seek(0)
    words = file.read().split()
    free, held = (float(words[0]), float(words[1])) if len(words) == 2 else (0.0, 0.0)
    latest = time.time() + LONGEST_S
    return (free if free < latest else 0.0), (held if held < latest else 0.0)


def _write(file: IO[str], free: float, held: float) -> None:
    file.truncate(0)
    file.write(f"{free!r} {held!r}")
    file.flush()
