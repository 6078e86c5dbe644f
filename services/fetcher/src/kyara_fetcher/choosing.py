"""Which files of a torrent or folder to take, and whether there is room for them."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from kyara.fetcher.v1.fetcher_pb2 import FetchParams
from kyara_fetcher.naming import media_type, unique_names, wanted
from kyara_stage import StageError

_MOST_BYTES = 200 << 30
_LEAVE_FREE = 64 << 20
_NAMES_SHOWN = 8


@dataclass(frozen=True)
class Offered:
    """A file that the source holds. `number` is its place there; its name is as the source has it."""

    number: int
    name: str
    size: int


@dataclass(frozen=True)
class Choice:
    """The videos to take, by name, with names made safe; and what was set aside, each with its reason."""

    videos: tuple[Offered, ...]
    aside: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(video.size for video in self.videos)


def choose(offered: Sequence[Offered], params: FetchParams, source: str) -> Choice:
    """The videos that `params` ask for.

    Raises StageError (FAILED_PRECONDITION) when the source is larger than allowed or nothing is left.
    """
    total, most = sum(file.size for file in offered), params.max_total_bytes or _MOST_BYTES
    if total > most:
        raise StageError.precondition(
            f"{source} holds {_size(total)}, more than the {_size(most)} that are allowed; raise the recipe's "
            "fetching.max_total_bytes, or choose another source"
        )
    videos, aside = [], []
    names = unique_names(file.name for file in offered)
    for file, name in zip(offered, names, strict=True):
        if media_type(name) is None:
            continue
        if not wanted(name, params.patterns):
            aside.append((name, "its name matches none of the patterns"))
        elif file.size == 0 or file.size < params.min_size_bytes:
            aside.append((name, f"{file.size} bytes; at least {max(1, params.min_size_bytes)} are asked for"))
        else:
            videos.append(Offered(file.number, name, file.size))
    if not videos:
        shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
        raise StageError.precondition(f"{source} holds no video that is asked for; it holds: {shown or 'nothing'}")
    return Choice(tuple(sorted(videos, key=lambda video: video.name)), tuple(sorted(aside)))


def check_room(folder: Path, needed: int) -> None:
    """Raises StageError (RESOURCE_EXHAUSTED) when `needed` bytes do not fit where `folder` lies."""
    free = shutil.disk_usage(folder).free
    if needed + _LEAVE_FREE > free:
        raise no_room(f"{_size(needed)} are to be fetched and {_size(free)} are free where the fetcher's work folder lies")


def no_room(why: str) -> StageError:
    """The error for a full disk."""
    return StageError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"the fetcher has no room: {why}; free some, then retry the job")


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
