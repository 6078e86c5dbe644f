"""Torrents pinned by their info hashes.

How to reach a torrent (trackers, peers, web seeds, the .torrent file itself) is kept in a record of the store beside
the pin and not in it: the same torrent by another link, or from a peer on another port, is the same work.
"""

import json
from pathlib import Path, PurePosixPath

import libtorrent as lt

from kyara_artifacts import Store, canonical_json
from kyara_fetcher.naming import media_type
from kyara_fetcher.outside import get
from kyara_fetcher.pins import PinnedFile, PinnedTorrent, Value
from kyara_fetcher.settings import FetcherSettings
from kyara_outside import without_secrets
from kyara_stage import StageError

_MOST_HINTS = 64
_LARGEST_TORRENT_FILE = 10_000_000
_SCHEMES = ("http://", "https://", "udp://")


class Hints(Value):
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


def read_hints(torrent: PinnedTorrent, store: Store) -> Hints:
    """All that is known of where the torrent may be had."""
    record = store.get_record(_hints_key(torrent))
    return Hints.model_validate(json.loads(record)) if record else Hints()


def pin_magnet(link: str, store: Store) -> PinnedTorrent:
    """Pin a magnet link. Raises StageError (INVALID_ARGUMENT) when it is none."""
    try:
        params = lt.parse_magnet_uri(link)
    except RuntimeError as error:
        raise StageError.invalid(f"the magnet link cannot be read: {_plain(error)}; copy it again, whole") from error
    return _pin(params, None, store)


def pin_torrent_file(path: Path, store: Store) -> PinnedTorrent:
    """Pin a .torrent file. Raises StageError (INVALID_ARGUMENT) when it is none, OSError when it cannot be read."""
    if path.stat().st_size > _LARGEST_TORRENT_FILE:
        raise StageError.invalid(f"{path.name} is too large for a .torrent file; give a video as it is, not under that name")
    return _pin_data(path.name, path.read_bytes(), store)


async def pin_torrent_link(url: str, store: Store, settings: FetcherSettings) -> PinnedTorrent:
    """Pin what a link leads to. Raises StageError as `kyara_fetcher.outside.get`, and when that is no .torrent file."""
    name = PurePosixPath(without_secrets(url)).name
    if media_type(name):
        raise StageError.invalid(f"{name} is a video by its link; download it and give the file, or give its .torrent")
    data = await get(
        url,
        most_bytes=_LARGEST_TORRENT_FILE,
        within_s=settings.link_timeout_s,
        allow_private=settings.allow_private_peers,
    )
    return _pin_data(name, data, store)


def _pin_data(name: str, data: bytes, store: Store) -> PinnedTorrent:
    try:
        params = lt.load_torrent_buffer(data)
    except RuntimeError as error:
        raise StageError.invalid(f"{name} is no .torrent file: {_plain(error)}; download it again") from error
    digest = store.put(data)
    return _pin(params, PinnedFile(name=name, sha256=digest.sha256, size=digest.size_bytes), store)


def _pin(params: lt.add_torrent_params, file: PinnedFile | None, store: Store) -> PinnedTorrent:
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


def _hints_key(torrent: PinnedTorrent) -> str:
    return f"torrents/{torrent.hash}"


def _first(hints: tuple) -> tuple:
    return tuple(dict.fromkeys(hints))[:_MOST_HINTS]


def _plain(error: Exception) -> str:
    """libtorrent's words without its error number."""
    return str(error).split(" [")[0]
