"""Whatever a torrent says, nothing is written outside the work folder, and no link is followed."""

from pathlib import Path

import libtorrent as lt
import pytest

from services.fetcher.tests.fetcher_swarm import Peer, download, film, v1_torrent

SIZE = 20_000
NAMES: list[list[bytes]] = [
    [b"..", b"..", b"escaped.mkv"],
    [b"/abs.mkv"],
    [b"a\x00b.mkv"],
    [b"~", b".ssh", b"key.mkv"],
    [b"..\\win.mkv"],
    [b"resume", b"..", b"..", b"resume.mkv"],
    [b"link", b"through.mkv"],
    [b"n" * 5000 + b".mkv"],
    [b"CON.mkv"],
    [b"twice.mkv"],
    [b"TWICE.mkv"],
]


def hostile_torrent(target: Path) -> tuple[bytes, list[bytes]]:
    """Names that try to leave the folder, links to `target` and within, an empty file; and each file's content."""
    contents = [bytes([65 + number]) * SIZE for number in range(len(NAMES))]
    files: list[dict[bytes, object]] = [{b"path": path, b"length": SIZE} for path in NAMES]
    out = [b".."] * 9 + str(target).encode().split(b"/")[1:]
    files.insert(0, {b"path": [b"link"], b"length": 0, b"attr": b"l", b"symlink path": out})
    files.append({b"path": [b"..", b"..", b"empty.mkv"], b"length": 0})
    files.append({b"path": [b"within.mkv"], b"length": 0, b"attr": b"l", b"symlink path": [b"CON.mkv"]})
    return v1_torrent(b"../../outside", files, b"".join(contents)), contents


def all_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "bench" not in path.parts and "seeded" not in path.parts}


@pytest.mark.parametrize("by_magnet", [False, True], ids=["file", "magnet"])
def test_names_that_try_to_leave_the_folder_do_not(bench, tmp_path: Path, by_magnet: bool) -> None:
    (tmp_path / "target").mkdir()
    torrent, contents = hostile_torrent(tmp_path / "target")
    peer = Peer()
    peer.give(torrent, b"".join(contents), tmp_path / "seeded")
    link = f"{lt.make_magnet_uri(lt.load_torrent_buffer(torrent))}&x.pe={peer.address}"
    bench.resolve(link)
    (tmp_path / "hostile.torrent").write_bytes(torrent)
    before = all_below(tmp_path)
    found = bench.fetch(link if by_magnet else str(tmp_path / "hostile.torrent"))
    assert sorted(found.values()) == contents
    assert all(".." not in name and "\\" not in name and not name.startswith("/") for name in found)
    assert len({name.casefold() for name in found}) == len(NAMES)
    assert all_below(tmp_path) == before
    assert not (tmp_path.parent / "escaped.mkv").exists()
    assert list(bench.work.iterdir()) == []


def test_the_work_folder_holds_plain_names_and_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    work = tmp_path / "work"
    work.mkdir()
    torrent, contents = hostile_torrent(tmp_path / "target")
    peer, fetcher = Peer(), Peer("127.0.0.2")
    peer.give(torrent, b"".join(contents), tmp_path / "seeded")
    for _ in range(2):
        download(fetcher, torrent, work, peer)
        found = list(work.rglob("*"))
        assert {path.name for path in found} <= {f"{number:05d}" for number in range(len(NAMES) + 3)} | {"resume"}
        assert not any(path.is_symlink() or path.is_dir() for path in found)


def test_a_link_in_a_torrent_is_no_video(bench, tmp_path: Path) -> None:
    data = film(tmp_path / "real" / "e01.mkv", SIZE)
    files: list[dict[bytes, object]] = [
        {b"path": [b"e01.mkv"], b"length": SIZE},
        {b"path": [b"link.mkv"], b"length": 0, b"attr": b"l", b"symlink path": [b"e01.mkv"]},
    ]
    torrent = v1_torrent(b"real", files, data)
    peer = Peer()
    peer.give(torrent, data, tmp_path / "seeded")
    assert bench.fetch(f"{lt.make_magnet_uri(lt.load_torrent_buffer(torrent))}&x.pe={peer.address}") == {"real/e01.mkv": data}
