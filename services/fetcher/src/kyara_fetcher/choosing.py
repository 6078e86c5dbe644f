"""Which files of a source to take, and whether there is room for them."""

import math
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
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

    Raises StageError: FAILED_PRECONDITION when nothing is left or more than allowed, INVALID_ARGUMENT for params that
    make no sense.
    """
    _check(params)
    names = unique_names(file.name for file in offered)
    named = [Offered(file.number, name, file.size) for file, name in zip(offered, names, strict=True)]
    candidates = sorted((file for file in named if media_type(file.name)), key=lambda file: file.name)
    reasons = {file.name: reason for file in candidates if (reason := _flaw(file, params))}
    videos = [file for file in candidates if file.name not in reasons]
    if params.largest_only and videos:
        largest = max(videos, key=lambda file: file.size)
        reasons |= {file.name: f"only the largest is asked for, {largest.name}" for file in videos if file is not largest}
        videos = [largest]
    if not videos:
        raise StageError.precondition(f"{source} holds no video that is asked for; it holds: {_shown(names, reasons)}")
    choice = Choice(tuple(videos), tuple(sorted(reasons.items())))
    most = params.max_total_bytes or _MOST_BYTES
    if choice.size > most:
        raise StageError.precondition(
            f"the videos of {source} are {_size(choice.size)}, more than the {_size(most)} that are allowed; raise the "
            "recipe's fetching.max_total_bytes, take fewer by fetching.patterns, or choose another source"
        )
    return choice


def check_room(needed: Mapping[Path, int]) -> None:
    """Raises StageError (RESOURCE_EXHAUSTED) when the bytes that each folder needs do not fit on the disk it is on.

    Folders on one disk share its room.
    """
    disks: defaultdict[int, list[Path]] = defaultdict(list)
    for folder in needed:
        disks[folder.stat().st_dev].append(folder)
    for folders in disks.values():
        free, wanted_bytes = shutil.disk_usage(folders[0]).free, sum(needed[folder] for folder in folders)
        if wanted_bytes + _LEAVE_FREE > free:
            where = " and ".join(map(str, folders))
            raise no_room(f"{_size(wanted_bytes)} are to be written to {where} and {_size(free)} are free there")


def bytes_in(folder: Path) -> int:
    """Bytes that the folder's files take up on disk, holes not counted."""
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir())


def no_room(why: str) -> StageError:
    """The error for a full disk."""
    return StageError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"the fetcher has no room: {why}; free some, then retry the job")


def _check(params: FetchParams) -> None:
    for name in ("min_size_bytes", "max_total_bytes", "no_peers_timeout_s"):
        value = getattr(params, name)
        if value < 0 or not math.isfinite(value):
            raise StageError.invalid(f"fetcher.fetch: {name} is {value}; it must be 0 (the default) or more")


def _flaw(file: Offered, params: FetchParams) -> str | None:
    """Why a video is not asked for, by its name and size alone: what is in it is the keyframer's to say."""
    if not wanted(file.name, params.patterns):
        return "its name matches none of the patterns"
    if file.size < max(1, params.min_size_bytes):
        return f"{file.size} bytes; at least {max(1, params.min_size_bytes)} are asked for"
    return None


def _shown(names: Sequence[str], reasons: Mapping[str, str]) -> str:
    shown = [f"{name} ({reasons[name]})" if name in reasons else name for name in names[:_NAMES_SHOWN]]
    return ", ".join(shown) + (", ..." if len(names) > _NAMES_SHOWN else "") or "nothing"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
