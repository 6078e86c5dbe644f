"""Who else is in a swarm: real peers, an HTTP tracker, torrents made by hand. All on loopback."""

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import libtorrent as lt

from kyara_fetcher.choosing import Choice
from kyara_fetcher.pins import PinnedTorrent
from kyara_fetcher.swarm import open_session
from kyara_fetcher.torrent import Progress, Torrent
from kyara_fetcher.torrents import Hints
from services.fetcher.tests.fetcher_web import serving

PIECE = 16384


def film(path: Path, size: int, seed: int = 1) -> bytes:
    """Write `size` bytes that are the same for the same seed; gives them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(seed).randbytes(size))
    return path.read_bytes()


def until(met: Callable[[], object], seconds: float = 20) -> None:
    """Wait for a condition of somebody else's. Fails when it is not met in time."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def no_progress(phase: str, done: int, total: int, metrics: dict[str, float]) -> None:
    """Nobody looks."""


class Peer:
    """A peer of its own.

    Peers that one other is to meet at once need a host each: it takes one connection an address. Their own come from
    127.0.0.1, wherever they listen.
    """

    def __init__(self, host: str = "127.0.0.1", *, lies: bool = False) -> None:
        """With `lies` it does not look at what it gives."""
        self._host = host
        self.session = open_session(f"{host}:0", dht=False, allow_private=True)
        self.session.apply_settings({"disable_hash_checks": lies})
        until(self.session.is_listening)

    @property
    def address(self) -> str:
        """Where it may be connected to."""
        return f"{self._host}:{self.session.listen_port()}"

    def join(self, torrent: bytes, folder: Path, flags: int = 0, bytes_per_s: int = 0) -> lt.torrent_handle:
        """Take part in a torrent with what lies in `folder`; uploads are slowed to `bytes_per_s`."""
        params = lt.load_torrent_buffer(torrent)
        params.save_path = str(folder)
        params.flags = flags
        params.upload_limit = bytes_per_s
        return self.session.add_torrent(params)

    def seed(self, torrent: bytes, folder: Path, bytes_per_s: int = 0) -> lt.torrent_handle:
        """Say that all is there, as it should be in `folder`."""
        return self.join(torrent, folder, lt.torrent_flags.seed_mode, bytes_per_s)

    def give(self, torrent: bytes, content: bytes, folder: Path) -> lt.torrent_handle:
        """Seed `content`, whatever the torrent's files are called."""
        handle = self.join(torrent, folder)
        info = handle.torrent_file()
        assert info
        until(lambda: handle.status().state == lt.torrent_status.states.downloading)
        for piece in range(info.num_pieces()):
            start = piece * info.piece_length()
            handle.add_piece(piece, content[start : start + info.piece_length()], 0)
        until(lambda: handle.status().is_seeding)
        return handle


def download(peer: Peer, torrent: bytes, work: Path, source: Peer, seed_s: float = 0, progress: Progress = no_progress) -> None:
    """All of a torrent into a work folder by the fetcher's own hand, in the session of `peer`."""
    hashes = lt.load_torrent_buffer(torrent).info_hashes
    pinned = PinnedTorrent(v1=str(hashes.v1), v2=str(hashes.v2) if hashes.has_v2() else "")
    host, port = source.address.split(":")
    fetched = Torrent(peer.session, pinned, Hints(peers=((host, int(port)),)), torrent, work)
    fetched.download(lambda offered: Choice(tuple(offered), ()), 20, seed_s, progress)


def v1_torrent(name: bytes, files: list[dict[bytes, object]], content: bytes) -> bytes:
    """A v1 torrent, with names and attributes that no client would write."""
    hashes = [hashlib.sha1(content[start : start + PIECE]).digest() for start in range(0, len(content), PIECE)]
    return lt.bencode({b"info": {b"name": name, b"piece length": PIECE, b"pieces": b"".join(hashes), b"files": files}})


def torrent_of(path: Path, flags: int = 0, **urls: list[str]) -> bytes:
    """A torrent of a file or folder, with `trackers` and `web_seeds`."""
    torrent = lt.create_torrent(lt.list_files(str(path)), flags=flags)
    torrent.set_creation_date(0)
    for url in urls.get("trackers", []):
        torrent.add_tracker(url)
    for url in urls.get("web_seeds", []):
        torrent.add_url_seed(url)
    lt.set_piece_hashes(torrent, str(path.parent))
    return lt.bencode(torrent.generate())


class _Tracker(BaseHTTPRequestHandler):
    """Who announces a torrent is told of all who did before (BEP 3, with the compact lists of BEP 23)."""

    swarms: dict[str, dict[tuple[str, int], None]]

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query, encoding="latin-1")
        swarm = self.swarms.setdefault(query["info_hash"][0], {})
        peers = b"".join(IPv4Address(host).packed + port.to_bytes(2) for host, port in swarm)
        swarm[self.client_address[0], int(query["port"][0])] = None
        body = lt.bencode({b"interval": 1800, b"min interval": 1, b"peers": peers})
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        # Who leaves the swarm does not stay for the answer.
        with suppress(OSError):
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to the test's output."""


@contextmanager
def tracker() -> Iterator[tuple[str, dict[str, dict[tuple[str, int], None]]]]:
    """An HTTP tracker: its announce URL, and who announced what."""
    swarms: dict[str, dict[tuple[str, int], None]] = {}
    with serving(type("Tracker", (_Tracker,), {"swarms": swarms})) as address:
        yield f"http://{address}/announce", swarms
