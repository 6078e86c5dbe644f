"""Folders of unfinished work: each is one process's at a time, outlives it, and is removed when done or abandoned."""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kyara_stage import StageError

_NAME = re.compile(r"[0-9a-f]{64}")
_LOCK = "lock"


@contextmanager
def work_folder(root: Path, action_sha256: str) -> Iterator[Path]:
    """The action's folder under `root`. It stays after a failure, to go on from, and is removed when the block ends well.

    Raises StageError (UNAVAILABLE) while another process has it.
    """
    folder = root / action_sha256
    folder.mkdir(parents=True, exist_ok=True)
    folder.touch()
    with _locked(folder) as ours:
        if not ours:
            raise StageError.unavailable("another process still fetches the same; trying again will join its work")
        yield folder
        shutil.rmtree(folder)


def remove_abandoned(root: Path, older_than_s: float) -> list[str]:
    """Remove the work folders under `root` that nobody has and nobody has touched for so long; gives their names."""
    removed = []
    for folder in root.iterdir() if root.is_dir() else ():
        # Whatever else lies there is not ours.
        if not _NAME.fullmatch(folder.name) or _untouched_s(folder) <= older_than_s:
            continue
        with _locked(folder) as ours:
            # An attempt may have come and failed since the first look.
            if ours and _untouched_s(folder) > older_than_s:
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder.name)
    return removed


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether the folder is ours alone until the block ends. The system lets go when a process dies."""
    lock = folder / _LOCK
    try:
        file = lock.open("a")
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have removed the folder between the two lines above, and this lock is then nobody's.
            ours = lock.exists() and os.path.samestat(os.fstat(file.fileno()), lock.stat())
        except (BlockingIOError, FileNotFoundError):
            ours = False
        yield ours


def _untouched_s(folder: Path) -> float:
    """Seconds since anything in the folder was written; 0 when it vanishes meanwhile."""
    with suppress(FileNotFoundError):
        return time.time() - max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
    return 0.0
