"""Torrents from a real swarm on loopback: peers, a tracker, web seeds, and those who lie."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import libtorrent as lt
import pytest

from kyara_stage import StageError
from services.fetcher.tests.fetcher_bench import Bench
from services.fetcher.tests.fetcher_swarm import Peer, film, torrent_of, tracker, until
from services.fetcher.tests.fetcher_web import Web

HASH = "0123456789abcdef0123456789abcdef01234567"


def written(path: Path, torrent: bytes) -> str:
    path.write_bytes(torrent)
    return str(path)


def test_a_magnet_link_gives_the_video_and_leaves_nothing_behind(bench, seed, tmp_path: Path) -> None:
    data = film(tmp_path / "e 01.mkv", 3_000_000)
    seeder = seed(tmp_path / "e 01.mkv")
    assert bench.fetch(seeder.magnet) == {"e 01.mkv": data}
    assert list(bench.work.iterdir()) == []


@pytest.mark.parametrize("kind", ["v1_only", "v2_only"])
def test_torrents_of_one_version_are_fetched_by_magnet_link_too(bench, tmp_path: Path, kind: str) -> None:
    data = film(tmp_path / "e01.mkv", 2_000_000)
    torrent = torrent_of(tmp_path / "e01.mkv", flags=getattr(lt.create_torrent, kind))
    peer = Peer()
    peer.seed(torrent, tmp_path)
    magnet = lt.make_magnet_uri(lt.load_torrent_buffer(torrent))
    assert bench.fetch(f"{magnet}&x.pe={peer.address}") == {"e01.mkv": data}


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
    uploaded = seeder.handle.status().total_payload_upload
    assert bench.fetch(seeder.magnet, largest_only=True) == {"season/e01.mkv": one}
    assert seeder.handle.status().total_payload_upload - uploaded < 1_000_000, "what is not taken is not downloaded"


def test_several_peers_share_the_work(bench, tmp_path: Path) -> None:
    data = film(tmp_path / "e01.mkv", 6_000_000)
    torrent = torrent_of(tmp_path / "e01.mkv")
    peers = [Peer("127.0.0.2"), Peer("127.0.0.3")]
    handles = [peer.seed(torrent, tmp_path, bytes_per_s=3_000_000) for peer in peers]
    magnet = lt.make_magnet_uri(lt.load_torrent_buffer(torrent))
    assert bench.fetch(magnet + "".join(f"&x.pe={peer.address}" for peer in peers)) == {"e01.mkv": data}
    assert all(handle.status().total_payload_upload > 1_000_000 for handle in handles)


def test_an_http_tracker_tells_who_has_it(bench, tmp_path: Path) -> None:
    data = film(tmp_path / "e01.mkv", 1_000_000)
    with tracker() as (announce, swarms):
        torrent = torrent_of(tmp_path / "e01.mkv", trackers=[announce])
        peer = Peer()
        peer.seed(torrent, tmp_path)
        until(lambda: any(swarms.values()))
        found = bench.fetch(written(tmp_path / "e01.torrent", torrent))
    assert found == {"e01.mkv": data}


def test_a_web_seed_alone_is_enough(bench, web: Web, tmp_path: Path) -> None:
    one, two = film(tmp_path / "season" / "e 01.mkv", 900_000), film(tmp_path / "season" / "e02.mkv", 700_000, 2)
    web.files = {"/seed/season/e%2001.mkv": one, "/seed/season/e02.mkv": two}
    torrent = torrent_of(tmp_path / "season", web_seeds=[web.url("/seed/")])
    found = bench.fetch(written(tmp_path / "season.torrent", torrent))
    assert found == {"season/e 01.mkv": one, "season/e02.mkv": two}
    assert web.asked[0][1]["User-Agent"] == "Kyara/0.1"


def test_a_web_seed_of_the_magnet_link_helps_a_peer(bench, web: Web, tmp_path: Path) -> None:
    data = film(tmp_path / "e01.mkv", 2_000_000)
    torrent = torrent_of(tmp_path / "e01.mkv")
    web.files = {"/e01.mkv": data}
    # It has the list of files and hashes to give, but next to no speed.
    peer = Peer()
    peer.seed(torrent, tmp_path, bytes_per_s=60_000)
    magnet = lt.make_magnet_uri(lt.load_torrent_buffer(torrent))
    found = bench.fetch(f"{magnet}&x.pe={peer.address}&ws={quote(web.url('/e01.mkv'), safe='')}")
    assert found == {"e01.mkv": data}
    assert web.asked


def liar(torrent: bytes, folder: Path, size: int) -> Peer:
    """A peer that says it has everything, and gives other bytes."""
    film(folder / "e01.mkv", size, seed=666)
    peer = Peer(lies=True)
    peer.seed(torrent, folder)
    return peer


@pytest.mark.parametrize("kind", [0, lt.create_torrent.v1_only], ids=["hybrid", "v1"])
def test_corrupt_pieces_are_fetched_again_from_others(bench, tmp_path: Path, kind: int) -> None:
    size = 3_000_000
    data = film(tmp_path / "e01.mkv", size)
    torrent = torrent_of(tmp_path / "e01.mkv", flags=kind)
    honest = Peer("127.0.0.2")
    honest.seed(torrent, tmp_path, bytes_per_s=3_000_000)
    dishonest = liar(torrent, tmp_path / "lies", size)
    lies = dishonest.session.get_torrents()[0]
    magnet = lt.make_magnet_uri(lt.load_torrent_buffer(torrent))
    found = bench.fetch(f"{magnet}&x.pe={dishonest.address}&x.pe={honest.address}")
    assert found == {"e01.mkv": data}
    assert lies.status().total_payload_upload > 0, "the liar was never asked"


def test_a_peer_with_nothing_but_corrupt_pieces_ends_in_words(bench, tmp_path: Path) -> None:
    film(tmp_path / "e01.mkv", 1_000_000)
    torrent = torrent_of(tmp_path / "e01.mkv")
    peer = liar(torrent, tmp_path / "lies", 1_000_000)
    magnet = lt.make_magnet_uri(lt.load_torrent_buffer(torrent))
    with pytest.raises(StageError, match=r"not one gave a sound byte .*; \d+ pieces that came were damaged"):
        bench.fetch(f"{magnet}&x.pe={peer.address}", no_peers_timeout_s=2)


def test_a_torrent_nobody_seeds_ends_with_that_message(bench) -> None:
    began = time.monotonic()
    with pytest.raises(StageError, match=r"nobody seeds the torrent 0123456789ab.*Seed it or choose another") as ended:
        bench.fetch(f"magnet:?xt=urn:btih:{HASH}&x.pe=127.0.0.1:9", no_peers_timeout_s=1.5)
    assert ended.value.code.name == "FAILED_PRECONDITION"
    assert 1.5 <= time.monotonic() - began < 15


def test_a_tracker_that_fails_is_named(bench) -> None:
    announce = "http%3A%2F%2F127.0.0.1%3A9%2Fannounce"
    with pytest.raises(StageError, match=r"http://127\.0\.0\.1:9/announce says"):
        bench.fetch(f"magnet:?xt=urn:btih:{HASH}&tr={announce}", no_peers_timeout_s=1.5)


def test_a_web_seed_that_refuses_is_named(bench, web: Web, tmp_path: Path) -> None:
    film(tmp_path / "e01.mkv", 100_000)
    torrent = torrent_of(tmp_path / "e01.mkv", web_seeds=[web.url("/gone.mkv")])
    with pytest.raises(StageError, match=r"/gone\.mkv says: .*404"):
        bench.fetch(written(tmp_path / "e01.torrent", torrent), no_peers_timeout_s=1.5)


def test_private_addresses_are_not_spoken_to_by_default(careful_bench: Bench, seed, web: Web, tmp_path: Path) -> None:
    web.files = {"/e01.mkv": film(tmp_path / "e01.mkv", 100_000)}
    seeder = seed(tmp_path / "e01.mkv")
    with tracker() as (announce, swarms):
        torrent = torrent_of(tmp_path / "e01.mkv", trackers=[announce], web_seeds=[web.url("/e01.mkv")])
        careful_bench.resolve(seeder.magnet)
        with pytest.raises(StageError, match="nobody seeds"):
            careful_bench.fetch(written(tmp_path / "e01.torrent", torrent), no_peers_timeout_s=2)
    assert (seeder.handle.status().total_payload_upload, web.asked, swarms) == (0, [], {})


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
