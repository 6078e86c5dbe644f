"""Torrents from a real swarm on loopback."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import libtorrent as lt
import pytest

from kyara_stage import StageError


def film(path: Path, size: int, seed: int = 1) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(seed).randbytes(size))
    return path.read_bytes()


def test_a_magnet_link_gives_the_video_and_leaves_nothing_behind(bench, seed, tmp_path: Path) -> None:
    data = film(tmp_path / "e 01.mkv", 3_000_000)
    seeder = seed(tmp_path / "e 01.mkv")
    assert bench.fetch(seeder.magnet) == {"e 01.mkv": data}
    assert list(bench.work.iterdir()) == []


def test_a_torrent_file_gives_its_videos_and_only_those_asked_for(bench, seed, tmp_path: Path) -> None:
    season = tmp_path / "season"
    one, two = film(season / "e01.mkv", 900_000), film(season / "sub" / "e02.mkv", 800_000, 2)
    film(season / "ed.mkv", 1000, 3)
    (season / "readme.txt").write_text("read me")
    seeder = seed(season)
    (tmp_path / "season.torrent").write_bytes(seeder.torrent_file)
    bench.resolve(seeder.magnet)  # tells where the peer is
    found = bench.fetch(str(tmp_path / "season.torrent"), min_size_bytes=10_000)
    assert found == {"season/e01.mkv": one, "season/sub/e02.mkv": two}
    assert [each["item"] for each in bench.rejected] == ["season/ed.mkv"]
    assert bench.fetch(seeder.magnet, patterns=["e02*"]) == {"season/sub/e02.mkv": two}


def test_a_torrent_nobody_seeds_ends_with_that_message(bench) -> None:
    began = time.monotonic()
    with pytest.raises(StageError, match=r"nobody seeds the torrent 0123456789ab.*Seed it or choose another") as ended:
        bench.fetch("magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&x.pe=127.0.0.1:9", no_peers_timeout_s=1.5)
    assert ended.value.code.name == "FAILED_PRECONDITION"
    assert time.monotonic() - began < 15


def test_a_tracker_that_fails_is_named(bench) -> None:
    tracker = "http%3A%2F%2F127.0.0.1%3A9%2Fannounce"
    with pytest.raises(StageError, match=r"http://127\.0\.0\.1:9/announce says"):
        bench.fetch(f"magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&tr={tracker}", no_peers_timeout_s=3)


def test_private_addresses_are_not_spoken_to_by_default(careful_bench, seed, tmp_path: Path) -> None:
    film(tmp_path / "e01.mkv", 100_000)
    seeder = seed(tmp_path / "e01.mkv")
    with pytest.raises(StageError, match="nobody seeds"):
        careful_bench.fetch(seeder.magnet, no_peers_timeout_s=3)
    assert seeder.handle.status().total_payload_upload == 0


def hostile_torrent(folder: Path) -> tuple[Path, list[bytes]]:
    """A v1 torrent whose names try to leave the folder, and one file's content for each."""
    paths = [[b"..", b"..", b"escaped.mkv"], [b"/abs.mkv"], [b"a\x00b.mkv"], [b"~", b".ssh", b"key.mkv"], [b"..\\win.mkv"]]
    contents = [bytes([65 + number]) * 20_000 for number in range(len(paths))]
    pieces = b"".join(contents)
    info = {
        b"name": b"../../outside",
        b"piece length": 16384,
        b"pieces": b"".join(
            hashlib.sha1(pieces[start : start + 16384]).digest() for start in range(0, len(pieces), 16384)
        ),
        b"files": [{b"path": path, b"length": 20_000} for path in paths],
    }  # fmt: skip
    torrent = folder / "hostile.torrent"
    torrent.write_bytes(lt.bencode({b"info": info}))
    return torrent, contents


def test_names_that_try_to_leave_the_folder_do_not(bench, tmp_path: Path) -> None:
    torrent, contents = hostile_torrent(tmp_path)
    params = lt.load_torrent_file(str(torrent))
    session = lt.session({"listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False})
    assert params.ti
    params.save_path = str(tmp_path / "seeded")
    handle = session.add_torrent(params)
    for piece in range(params.ti.num_pieces()):
        start = piece * 16384
        handle.add_piece(piece, b"".join(contents)[start : start + 16384], 0)
    deadline = time.monotonic() + 10
    while not handle.status().is_seeding and time.monotonic() < deadline:
        time.sleep(0.05)
    port = session.listen_port()
    bench.resolve(f"magnet:?xt=urn:btih:{params.info_hashes.v1}&x.pe=127.0.0.1:{port}")
    before = {path for path in tmp_path.rglob("*") if "bench" not in path.parts}
    found = bench.fetch(str(torrent))
    assert sorted(found.values()) == contents
    assert all(".." not in name and "\\" not in name and not name.startswith("/") for name in found)
    assert {path for path in tmp_path.rglob("*") if "bench" not in path.parts} == before
    assert not (tmp_path.parent / "escaped.mkv").exists()


def test_a_torrent_larger_than_the_disk_is_refused_before_it_begins(bench, tmp_path: Path) -> None:
    creator = lt.create_torrent(
        [lt.create_file_entry("huge.mkv", 4 << 40)], piece_size=64 << 20, flags=lt.create_torrent.v1_only
    )  # fmt: skip
    for piece in range(creator.num_pieces()):
        creator.set_hash(piece, b"\1" * 20)
    torrent = tmp_path / "huge.torrent"
    torrent.write_bytes(lt.bencode(creator.generate()))
    with pytest.raises(StageError, match="more than the"):
        bench.fetch(str(torrent))
    with pytest.raises(StageError, match="no room") as refused:
        bench.fetch(str(torrent), max_total_bytes=1 << 50)
    assert refused.value.code.name == "RESOURCE_EXHAUSTED"


FETCH = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import Bench
Bench(Path(sys.argv[2])).fetch(sys.argv[3])
"""


def test_after_kill_9_verified_pieces_are_not_fetched_again(bench, seed, tmp_path: Path) -> None:
    size = 14_000_000
    data = film(tmp_path / "e01.mkv", size)
    seeder = seed(tmp_path / "e01.mkv")
    seeder.handle.set_upload_limit(4_000_000)
    here = str(Path(__file__).parent)
    folder = bench.work.parent
    process = subprocess.Popen([sys.executable, "-c", FETCH, here, str(folder), seeder.magnet])
    while seeder.handle.status().total_payload_upload < size * 0.6:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = seeder.handle.status().total_payload_upload
    seeder.handle.set_upload_limit(0)
    assert bench.fetch(seeder.magnet) == {"e01.mkv": data}
    again = seeder.handle.status().total_payload_upload - first
    assert again < size * 0.5, "most of what was there was fetched again"


def test_the_seeding_command_prints_its_link_first_and_stops_when_told(bench, tmp_path: Path) -> None:
    data = film(tmp_path / "e01.mkv", 200_000)
    command = [sys.executable, "-m", "kyara_fetcher.seed", str(tmp_path / "e01.mkv"), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        magnet = process.stdout.readline().strip()
        assert magnet.startswith("magnet:?") and "x.pe=127.0.0.1:" in magnet
        assert bench.fetch(magnet) == {"e01.mkv": data}
        taken = magnet.rpartition(":")[2]
        second = subprocess.run([*command[:-1], f"127.0.0.1:{taken}"], capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode == 2
        assert "choose another port" in second.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_the_same_file_gives_the_same_link_but_for_the_port(seed, tmp_path: Path) -> None:
    film(tmp_path / "e01.mkv", 100_000)
    os.utime(tmp_path / "e01.mkv", (1, 1))
    one = seed(tmp_path / "e01.mkv").torrent_file
    os.utime(tmp_path / "e01.mkv", (999, 999))
    assert seed(tmp_path / "e01.mkv").torrent_file == one
