"""A folder as a source of pictures: what is in it at this moment, by name and size. Zip archives in it count as folders, so
that a dataset that was published before can be a source as it lies there."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

MOST_TIMES_PACKED = 50
"""A picture hardly gets smaller in an archive: what unpacks to more than this is a bomb."""


class BadFolder(ValueError):
    """The folder cannot be a source; the message says why."""


class Unreadable(ValueError):
    """A file of the folder cannot be read; the message says why."""


@dataclass(frozen=True)
class Found:
    """A file of the folder, or of an archive in it."""

    name: str
    """Path in the folder, with slashes; never trusted as a path."""
    path: Path
    size: int
    entry: zipfile.ZipInfo | None = None
    """What it is in the archive at `path`."""

    def content(self) -> bytes:
        """All of it. Raises Unreadable."""
        if self.path.suffix.lower() != ".zip":
            return self.path.read_bytes()
        if self.entry is None:
            raise Unreadable("it is no zip archive that can be read, whatever its name says")
        if self.size > MOST_TIMES_PACKED * max(1, self.entry.compress_size):
            raise Unreadable(f"it unpacks to {self.size} bytes from {self.entry.compress_size}: no picture does")
        try:
            return _opened(self.path).read(self.entry)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
            # RuntimeError: a password is asked for; NotImplementedError: a compression that Python does not know.
            raise Unreadable(f"cannot be unpacked: {error}") from error


@lru_cache(maxsize=1)
def _opened(path: Path) -> zipfile.ZipFile:
    """Files come by name, so those of one archive follow one another, and its list of contents is read once."""
    return zipfile.ZipFile(path)


def files_in(folder: Path) -> list[Found]:
    """Its files and those of its sub-folders, by name. Hidden files, links and special files are left out. It may be
    one zip archive.

    Raises BadFolder when there is no such folder, or nothing in it.
    """
    if folder.suffix.lower() == ".zip" and folder.is_file():
        return sorted(_unpacked(folder.name, folder), key=lambda each: each.name)
    if not folder.is_dir():
        raise BadFolder(f"{folder} is no folder that the crawler can see; give the full path of one with pictures")
    found = [
        file
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and not _hidden(path.relative_to(folder))
        for file in _unpacked(path.relative_to(folder).as_posix(), path)
    ]
    if not found:
        raise BadFolder(f"{folder} holds no files; put the character's pictures into it")
    return sorted(found, key=lambda each: each.name)


def _unpacked(name: str, path: Path) -> Iterator[Found]:
    """The file, or what an archive holds."""
    if path.suffix.lower() != ".zip":
        yield Found(name, path, path.stat().st_size)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir() and not PurePosixPath(e.filename).name.startswith(".")]
    except (zipfile.BadZipFile, OSError, ValueError):
        yield Found(name, path, 0)
        return
    for entry in entries:
        yield Found(f"{name}/{entry.filename}", path, entry.file_size, entry)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
