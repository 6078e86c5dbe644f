"""An unfinished download is gone on with, is one process's at a time, and is removed when nobody comes back for it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import libtorrent as lt
import pytest

from kyara_fetcher.workfolder import remove_abandoned, work_folder
from kyara_stage import StageError
from services.fetcher.tests.fetcher_swarm import Peer, download, film, torrent_of, until

MIB = 1 << 20
DAY_S = 86400.0
FETCH = """
import sys
from pathlib import Path
from services.fetcher.tests.fetcher_bench import Bench
Bench(Path(sys.argv[1])).fetch(sys.argv[2])
"""


@pytest.mark.parametrize("kind", [0, lt.create_torrent.v2_only], ids=["hybrid", "v2"])
def test_after_kill_9_verified_pieces_are_not_fetched_again(bench, tmp_path: Path, kind: int) -> None:
    size = 12 * MIB
    data = film(tmp_path / "e01.mkv", size)
    torrent = torrent_of(tmp_path / "e01.mkv", flags=kind)
    peer = Peer()
    handle = peer.seed(torrent, tmp_path, bytes_per_s=2 * MIB)
    link = f"{lt.make_magnet_uri(lt.load_torrent_buffer(torrent))}&x.pe={peer.address}"
    process = subprocess.Popen([sys.executable, "-c", FETCH, str(bench.work.parent), link])
    until(lambda: handle.status().total_payload_upload > size * 0.7 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was to be killed in the middle"
    given = handle.status().total_payload_upload
    (partial,) = bench.work.rglob("00000")
    kept = _whole_pieces(partial.read_bytes(), data, lt.load_torrent_buffer(torrent).ti)
    assert kept > size // 4, "libtorrent writes v2 pieces late, but those of the last two seconds only"
    handle.set_upload_limit(0)
    assert bench.fetch(link) == {"e01.mkv": data}
    assert handle.status().total_payload_upload - given <= size - kept, "a whole piece was fetched again"


def _whole_pieces(partial: bytes, data: bytes, info: lt.torrent_info | None) -> int:
    """Bytes of `partial` that are in whole, right pieces."""
    assert info
    places = [slice(start, start + info.piece_length()) for start in range(0, len(data), info.piece_length())]
    return sum(len(data[place]) for place in places if partial[place] == data[place])


class Swarm:
    """A torrent on its own: a seeder, a fetching session, and somebody who asks that one for it.

    The seeder is slow until the asker has got something, so that the fetching session surely shared before it is complete.
    Those two are not told of each other: what the asker gets is the fetching session's.
    """

    def __init__(self, folder: Path, size: int) -> None:
        film(folder / "e01.mkv", size)
        self.torrent = torrent_of(folder / "e01.mkv")
        self.seeder, self.fetcher, self.asker = Peer("127.0.0.2"), Peer("127.0.0.3"), Peer()
        alone = lt.torrent_flags.disable_pex
        self.seeded = self.seeder.join(self.torrent, folder, lt.torrent_flags.seed_mode | alone, MIB)
        self.asked = self.asker.join(self.torrent, folder / "asker", alone)
        self.asked.set_download_limit(MIB // 4)
        self.work = folder / "work"
        self.work.mkdir()
        self.got_at_the_end = -1

    def download(self, seed_s: float) -> None:
        """Into the work folder; what the asker had got when it was complete is kept."""
        download(self.fetcher, self.torrent, self.work, self.seeder, seed_s, self._progress)

    def ask(self) -> None:
        """Have the asker connect to the fetching session."""
        host, port = self.fetcher.address.split(":")
        self.asked.connect_peer((host, int(port)))

    @property
    def got(self) -> int:
        """Bytes that the asker got."""
        return self.asked.status().total_payload_download

    def _progress(self, phase: str, done: int, total: int, metrics: dict[str, float]) -> None:
        if phase == "downloading" and not self.asked.status().num_peers:
            self.ask()
        if self.got:
            self.seeded.set_upload_limit(0)
        if phase == "downloading" and done == total:
            self.got_at_the_end = self.got


def test_nothing_is_uploaded_once_it_is_complete(tmp_path: Path) -> None:
    swarm = Swarm(tmp_path, 16 * MIB)
    swarm.download(seed_s=0)
    assert 0 < swarm.got_at_the_end < 8 * MIB, "it shares while it downloads, and the asker still wants more"
    swarm.asked.set_download_limit(0)
    until(lambda: not swarm.asked.status().num_peers)
    assert swarm.got - swarm.got_at_the_end < MIB, "no more than was in the system's buffers"
    # As after a kill between the last piece and the store: all is there, and nobody is met.
    before = swarm.got
    asking = threading.Event()
    thread = threading.Thread(target=lambda: [swarm.ask() for _ in iter(lambda: asking.wait(0.01), True)])
    thread.start()
    swarm.download(seed_s=0)
    asking.set()
    thread.join()
    assert swarm.got == before


def test_a_complete_torrent_is_shared_for_as_long_as_told(tmp_path: Path) -> None:
    swarm = Swarm(tmp_path, 4 * MIB)
    swarm.asked.set_download_limit(0)
    began = time.monotonic()
    swarm.download(seed_s=1)
    assert time.monotonic() - began > 1
    assert swarm.asked.status().is_seeding


def test_two_processes_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with work_folder(tmp_path, "a" * 64), pytest.raises(StageError, match="another process"), work_folder(tmp_path, "a" * 64):
        pass
    assert list(tmp_path.iterdir()) == []


def unfinished(root: Path, name: str, days: float) -> Path:
    """A work folder that was last touched `days` ago."""
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    (folder / "00000").write_bytes(b"half a video")
    then = time.time() - days * DAY_S
    for path in (folder / "00000", folder / "lock", folder):
        os.utime(path, (then, then))
    return folder


def test_abandoned_work_folders_are_removed_when_another_download_starts(bench, tmp_path: Path) -> None:
    old = unfinished(bench.work, "a" * 64, days=8)
    young = unfinished(bench.work, "b" * 64, days=6)
    foreign = unfinished(bench.work, "holiday", days=1000)
    written_to = unfinished(bench.work, "c" * 64, days=8)
    (written_to / "00001").write_bytes(b"just now")
    film(tmp_path / "e01.mkv", 1000)
    bench.fetch(str(tmp_path / "e01.mkv"))
    assert not old.exists()
    assert young.exists() and foreign.exists() and written_to.exists()


def test_an_old_folder_at_work_is_not_abandoned(tmp_path: Path) -> None:
    with work_folder(tmp_path, "a" * 64) as folder:
        os.utime(folder / "lock", (0, 0))
        os.utime(folder, (0, 0))
        assert remove_abandoned(tmp_path, DAY_S) == []
        assert folder.exists()
