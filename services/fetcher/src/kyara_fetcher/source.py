"""What the user gave, told apart and pinned."""

from pathlib import Path

from kyara_artifacts import Store
from kyara_fetcher.bucket import BucketReader
from kyara_fetcher.folder import pin_file, pin_folder
from kyara_fetcher.pins import Pin
from kyara_fetcher.settings import FetcherSettings
from kyara_fetcher.torrents import pin_magnet, pin_torrent_file, pin_torrent_link
from kyara_stage import StageError

_LONGEST_SOURCE = 16_384


async def pin(source: str, store: Store, settings: FetcherSettings) -> Pin:
    """Pin what `source` says: a magnet link, a .torrent file or its link, a video, a folder or an s3:// prefix.

    Raises StageError: INVALID_ARGUMENT when it is nothing that can be fetched, else what its server made of it.
    """
    source = source.strip()
    if not source or len(source) > _LONGEST_SOURCE or "\0" in source:
        raise StageError.invalid(
            "the source is empty or is no path or link; give a magnet link, .torrent file or link, video, folder or s3:// prefix"
        )
    scheme = source.partition(":")[0].lower()
    if scheme == "magnet":
        return pin_magnet(source, store)
    if scheme in ("http", "https"):
        return await pin_torrent_link(source, store, settings)
    if scheme == "s3":
        return BucketReader(settings).pin(source)
    try:
        return _pin_path(source, store)
    except (OSError, RuntimeError) as error:
        raise StageError.invalid(
            f"{source!r} cannot be read: {error}; give the fetcher the right to, or check the path"
        ) from error


def _pin_path(source: str, store: Store) -> Pin:
    path = Path(source).expanduser()
    if not path.exists():
        raise StageError.invalid(
            f"{source!r} is neither a magnet link nor a file or folder that the fetcher can see; check the spelling, and "
            "that the path exists on the machine where the fetcher runs"
        )
    path = path.resolve()
    if path.is_dir():
        return pin_folder(path)
    if path.suffix.lower() == ".torrent":
        return pin_torrent_file(path, store)
    return pin_file(path)
