"""Seed one file: `python -m kyara_fetcher.seed FILE [--listen HOST:PORT]`.

Prints a magnet link that leads to this very process as its first line, and seeds until SIGTERM or SIGINT. The demo
gives its episode to the world by it.
"""

import argparse
import signal
import threading
import time
from pathlib import Path

import libtorrent as lt

from kyara_fetcher.swarm import USER_AGENT, open_session

_LISTEN_WITHIN_S = 10.0


def make_torrent(path: Path) -> bytes:
    """A hybrid (v1 and v2) .torrent of a file or folder. The same content and name give the same bytes."""
    torrent = lt.create_torrent(lt.list_files(str(path)))
    torrent.set_creator(USER_AGENT)
    torrent.set_creation_date(0)
    lt.set_piece_hashes(torrent, str(path.parent))
    return lt.bencode(torrent.generate())


class Seeder:
    """A session that seeds `path` from `listen` (host:port; port 0 takes a free one). Raises OSError when it is taken."""

    def __init__(self, path: Path, listen: str) -> None:
        self._session = open_session(listen, dht=False, allow_private=True)
        self._host = listen.rpartition(":")[0]
        self.port = self._listening(listen)
        self.torrent_file = make_torrent(path)
        params = lt.load_torrent_buffer(self.torrent_file)
        self.magnet = f"{lt.make_magnet_uri(params)}&x.pe={self._host}:{self.port}"
        params.save_path = str(path.parent)
        params.flags = lt.torrent_flags.seed_mode
        self.handle = self._session.add_torrent(params)

    def close(self) -> None:
        """Leave the swarm."""
        self._session.remove_torrent(self.handle)
        self._session.pause()

    def _listening(self, listen: str) -> int:
        deadline = time.monotonic() + _LISTEN_WITHIN_S
        while time.monotonic() < deadline:
            self._session.wait_for_alert(100)
            for alert in self._session.pop_alerts():
                if isinstance(alert, lt.listen_failed_alert):
                    raise OSError(f"cannot listen on {listen}: {alert.error.message()}; choose another port")
                if isinstance(alert, lt.listen_succeeded_alert) and alert.port:
                    return alert.port
        raise OSError(f"cannot listen on {listen}")


def main() -> None:
    """Seed until told to stop."""
    parser = argparse.ArgumentParser(prog="kyara_fetcher.seed", description="Seed one file and print its magnet link.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--listen", default="127.0.0.1:0", help="host:port; port 0 takes a free one")
    arguments = parser.parse_args()
    if not arguments.file.exists():
        parser.error(f"{arguments.file} does not exist")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        seeder = Seeder(arguments.file.resolve(), arguments.listen)
    except OSError as error:
        parser.error(str(error))
    print(seeder.magnet, flush=True)
    stopped.wait()
    seeder.close()


if __name__ == "__main__":
    main()
