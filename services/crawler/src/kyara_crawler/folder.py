"""A folder as a source of pictures: what is in it at this moment, by name and size."""

from dataclasses import dataclass
from pathlib import Path


class BadFolder(ValueError):
    """The folder cannot be a source; the message says why."""


@dataclass(frozen=True)
class Found:
    """A file of the folder."""

    name: str
    """Path in the folder, with slashes."""
    path: Path
    size: int


def files_in(folder: Path) -> list[Found]:
    """Its files and those of its sub-folders, by name. Hidden files, links and special files are left out.

    Raises BadFolder when there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise BadFolder(f"{folder} is no folder that the crawler can see; give the full path of one with pictures")
    found = [
        Found(path.relative_to(folder).as_posix(), path, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and not _hidden(path.relative_to(folder))
    ]
    if not found:
        raise BadFolder(f"{folder} holds no files; put the character's pictures into it")
    return sorted(found, key=lambda each: each.name)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
