"""What the user gave, pinned: a torrent by its info hashes, files by their digests.

How to reach a torrent (trackers, peers, web seeds, the .torrent file itself) is kept in a record of the store beside
the pin and not in it: the same torrent by another link, or from a peer on another port, is the same work.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import libtorrent as lt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts import Store, canonical_json, digest_of_file
from kyara_fetcher.naming import media_type
from kyara_stage import StageError

_LONGEST_SOURCE = 16_384
_MOST_HINTS = 64
_LARGEST_TORRENT_FILE = 10_000_000
_SCHEMES = ("http://", "https://", "udp://")


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PinnedFile(_Value):
    """One file of a folder: its path in it, and its content."""

    name: str
    sha256: str
    size: int


class PinnedFiles(_Value):
    """Files under `root` as they were when they were pinned."""

    kind: Literal["files"] = "files"
    root: str
    files: tuple[PinnedFile, ...]


class PinnedTorrent(_Value):
    """A torrent. At least one of its hashes (hexadecimal) is there; a hybrid one has both."""

    kind: Literal["torrent"] = "torrent"
    v1: str = ""
    v2: str = ""

    @property
    def hash(self) -> str:
        """The hash that it is called by."""
        return self.v1 or self.v2

    @property
    def magnet(self) -> str:
        """A magnet link with nothing but the hashes."""
        topics = [f"xt=urn:btih:{self.v1}"] * bool(self.v1) + [f"xt=urn:btmh:1220{self.v2}"] * bool(self.v2)
        return "magnet:?" + "&".join(topics)


class Hints(_Value):
    """Where a torrent may be had. Newest first."""

    trackers: tuple[str, ...] = ()
    peers: tuple[tuple[str, int], ...] = ()
    web_seeds: tuple[str, ...] = ()
    torrent_file: PinnedFile | None = None

    def over(self, older: "Hints") -> "Hints":
        """These hints, then the older ones."""
        return Hints(
            trackers=_first(self.trackers + older.trackers),
            peers=_first(self.peers + older.peers),
            web_seeds=_first(self.web_seeds + older.web_seeds),
            torrent_file=self.torrent_file or older.torrent_file,
        )


_PIN: TypeAdapter[PinnedFiles | PinnedTorrent] = TypeAdapter(Annotated[PinnedFiles | PinnedTorrent, Field(discriminator="kind")])


def read_pin(value: Any) -> PinnedFiles | PinnedTorrent:
    """The pin that was kept as JSON."""
    return _PIN.validate_python(value)


def pin(source: str, store: Store) -> PinnedFiles | PinnedTorrent:
    """Pin what `source` says. Raises StageError (INVALID_ARGUMENT) when it is nothing that can be fetched."""
    source = source.strip()
    if not source or len(source) > _LONGEST_SOURCE or "\0" in source:
        raise StageError.invalid("the source is empty or is no path or link; give a magnet link, .torrent file, video or folder")
    if source.lower().startswith("magnet:"):
        return _pin_magnet(source, store)
    path = Path(source).expanduser()
    if not path.exists():
        raise StageError.invalid(
            f"{source!r} is neither a magnet link nor a file or folder that the fetcher can see; check the spelling, and "
            "that the path exists on the machine where the fetcher runs"
        )
    path = path.resolve()
    if path.is_dir():
        return _pin_folder(path)
    if path.suffix.lower() == ".torrent":
        return _pin_torrent_file(path, store)
    if media_type(path.name) is None:
        raise StageError.invalid(f"{source!r} is neither a .torrent file nor a video by its name; give one or a folder of them")
    return PinnedFiles(root=str(path.parent), files=(_pin_file(path, path.parent),))


def read_hints(torrent: PinnedTorrent, store: Store) -> Hints:
    """All that is known of where the torrent may be had."""
    record = store.get_record(_hints_key(torrent))
    return Hints.model_validate(json.loads(record)) if record else Hints()


def _pin_magnet(link: str, store: Store) -> PinnedTorrent:
    try:
        params = lt.parse_magnet_uri(link)
    except RuntimeError as error:
        raise StageError.invalid(f"the magnet link cannot be read: {_plain(error)}; copy it again, whole") from error
    return _pin_torrent(params, None, store)


def _pin_torrent_file(path: Path, store: Store) -> PinnedTorrent:
    try:
        if path.stat().st_size > _LARGEST_TORRENT_FILE:
            raise StageError.invalid(f"{path.name} is too large for a .torrent file; give a video as it is, not under that name")
        data = path.read_bytes()
        params = lt.load_torrent_buffer(data)
    except RuntimeError as error:
        raise StageError.invalid(f"{path.name} is no .torrent file: {_plain(error)}; download it again") from error
    digest = store.put(data)
    file = PinnedFile(name=path.name, sha256=digest.sha256, size=digest.size_bytes)
    return _pin_torrent(params, file, store)


def _pin_torrent(params: lt.add_torrent_params, file: PinnedFile | None, store: Store) -> PinnedTorrent:
    hashes = params.ti.info_hashes() if params.ti else params.info_hashes
    torrent = PinnedTorrent(v1=str(hashes.v1) if hashes.has_v1() else "", v2=str(hashes.v2) if hashes.has_v2() else "")
    found = Hints(
        trackers=tuple(url for url in params.trackers if url.startswith(_SCHEMES)),
        peers=tuple(params.peers),
        web_seeds=tuple(url for url in params.url_seeds if url.startswith(_SCHEMES[:2])),
        torrent_file=file,
    )
    hints = found.over(read_hints(torrent, store))
    store.put_record(_hints_key(torrent), canonical_json(hints.model_dump(mode="json")))
    return torrent


def _pin_folder(folder: Path) -> PinnedFiles:
    paths = sorted(path for path in folder.rglob("*") if media_type(path.name) and path.is_file())
    if not paths:
        raise StageError.invalid(f"the folder {folder} holds no video by its files' names; put videos there or give another")
    return PinnedFiles(root=str(folder), files=tuple(_pin_file(path, folder) for path in paths))


def _pin_file(path: Path, root: Path) -> PinnedFile:
    try:
        digest: Digest = digest_of_file(path)
    except OSError as error:
        raise StageError.invalid(f"{path} cannot be read: {error.strerror}; give the fetcher the right to") from error
    return PinnedFile(name=path.relative_to(root).as_posix(), sha256=digest.sha256, size=digest.size_bytes)


def _hints_key(torrent: PinnedTorrent) -> str:
    return f"torrents/{torrent.hash}"


def _first(hints: tuple) -> tuple:
    return tuple(dict.fromkeys(hints))[:_MOST_HINTS]


def _plain(error: Exception) -> str:
    """libtorrent's words without its error number."""
    return str(error).split(" [")[0]
