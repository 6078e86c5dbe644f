"""Files on the fetcher's own disks, pinned by their digests."""

from pathlib import Path

from kyara_artifacts import digest_of_file
from kyara_fetcher.naming import media_type
from kyara_fetcher.pins import PinnedFile, PinnedFiles
from kyara_stage import StageError


def pin_file(path: Path) -> PinnedFiles:
    """One file. Raises StageError (INVALID_ARGUMENT) when it is no video by its name, OSError when it cannot be read."""
    if media_type(path.name) is None:
        raise StageError.invalid(f"'{path}' is neither a .torrent file nor a video by its name; give one or a folder of them")
    return PinnedFiles(root=str(path.parent), files=(_pinned(path, path.parent),))


def pin_folder(folder: Path) -> PinnedFiles:
    """All videos below a folder, by name. Raises StageError (INVALID_ARGUMENT) when there is none, OSError as `pin_file`."""
    paths = sorted(path for path in folder.rglob("*") if media_type(path.name) and path.is_file())
    if not paths:
        raise StageError.invalid(f"the folder {folder} holds no video by its files' names; put videos there or give another")
    return PinnedFiles(root=str(folder), files=tuple(_pinned(path, folder) for path in paths))


def _pinned(path: Path, root: Path) -> PinnedFile:
    digest = digest_of_file(path)
    return PinnedFile(name=path.relative_to(root).as_posix(), sha256=digest.sha256, size=digest.size_bytes)
