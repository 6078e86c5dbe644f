"""Which videos are taken, and what is checked before anything is fetched."""

import math
import os
import zipfile
from pathlib import Path

import libtorrent as lt
import pytest

from kyara_fetcher.choosing import check_room
from kyara_stage import StageError
from services.fetcher.tests.fetcher_bench import Bench


@pytest.fixture
def season(tmp_path: Path) -> Path:
    folder = tmp_path / "season"
    for name, size in {"e01.mkv": 3000, "e02.mkv": 5000, "sub/e03.mkv": 5000, "ed.mkv": 90, "notes.txt": 9999}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode().ljust(size))
    return folder


@pytest.mark.parametrize(
    ("params", "taken"),
    [
        ({}, ["e01.mkv", "e02.mkv", "ed.mkv", "sub/e03.mkv"]),
        ({"patterns": ["e0*"]}, ["e01.mkv", "e02.mkv", "sub/e03.mkv"]),
        ({"patterns": ["SUB/*", "e01*"]}, ["e01.mkv", "sub/e03.mkv"]),
        ({"min_size_bytes": 3000}, ["e01.mkv", "e02.mkv", "sub/e03.mkv"]),
        ({"largest_only": True}, ["e02.mkv"]),
        ({"largest_only": True, "patterns": ["e01*", "ed*"]}, ["e01.mkv"]),
        ({"max_total_bytes": 8000, "patterns": ["e01*", "e02*"]}, ["e01.mkv", "e02.mkv"]),
    ],
)
def test_videos_are_chosen_by_pattern_size_and_the_largest(
    bench: Bench, season: Path, params: dict[str, object], taken: list[str]
) -> None:
    assert list(bench.fetch(str(season), **params)) == taken
    aside = {each["item"] for each in bench.rejected}
    assert aside == {"e01.mkv", "e02.mkv", "ed.mkv", "sub/e03.mkv"} - set(taken), "each other video is set aside"
    assert all(each["reason"] for each in bench.rejected)


def test_the_same_input_gives_the_same_outputs(bench: Bench, season: Path, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other")
    params = {"min_size_bytes": 3000}
    assert other.outputs(other.resolve(str(season)), **params) == bench.outputs(bench.resolve(str(season)), **params)


def test_what_calls_itself_a_video_passes_untouched_and_the_empty_is_set_aside(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    with zipfile.ZipFile(folder / "zip.mkv", "w") as archive:
        archive.writestr("inside.txt", "text")
    (folder / "encrypted.mkv").write_bytes(os.urandom(1000))
    (folder / "empty.mkv").touch()
    found = bench.fetch(str(folder))
    assert found == {name: (folder / name).read_bytes() for name in ("encrypted.mkv", "zip.mkv")}
    assert bench.rejected == [{"item": "empty.mkv", "reason": "0 bytes; at least 1 are asked for"}]


def test_when_no_video_is_left_the_message_says_why(bench: Bench, season: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"holds no video that is asked for; it holds: .*ed\.mkv \(its name") as refused:
        bench.fetch(str(season), patterns=["*.mp4"])
    assert refused.value.code.name == "FAILED_PRECONDITION"
    (tmp_path / "empty.mkv").touch()
    with pytest.raises(StageError, match=r"empty\.mkv \(0 bytes; at least 1"):
        bench.fetch(str(tmp_path / "empty.mkv"))


def test_more_bytes_than_allowed_are_refused_before_anything_is_read(bench: Bench, tmp_path: Path) -> None:
    with (tmp_path / "film.mkv").open("wb") as film:
        os.truncate(film.fileno(), 3 << 20)
    with pytest.raises(StageError, match=r"more than the 2\.0 MiB that are allowed") as refused:
        bench.fetch(str(tmp_path / "film.mkv"), max_total_bytes=2 << 20)
    assert refused.value.code.name == "FAILED_PRECONDITION"


def huge_torrent(path: Path) -> str:
    """A torrent of 4 TiB that nobody has."""
    entry = lt.create_file_entry("huge.mkv", 4 << 40)
    creator = lt.create_torrent([entry], piece_size=64 << 20, flags=lt.create_torrent.v1_only)
    for piece in range(creator.num_pieces()):
        creator.set_hash(piece, b"\1" * 20)
    path.write_bytes(lt.bencode(creator.generate()))
    return str(path)


def test_a_torrent_larger_than_the_cap_or_the_disk_is_refused_before_it_begins(bench: Bench, tmp_path: Path) -> None:
    torrent = huge_torrent(tmp_path / "huge.torrent")
    with pytest.raises(StageError, match=r"4096\.0 GiB, more than the 200\.0 GiB"):
        bench.fetch(torrent)
    # Once in the work folder, and once in the store beside it.
    with pytest.raises(StageError, match=r"no room: 8192\.0 GiB are to be written to .*store and .*work") as refused:
        bench.fetch(torrent, max_total_bytes=1 << 50)
    assert refused.value.code.name == "RESOURCE_EXHAUSTED"


def test_folders_on_two_disks_have_room_of_their_own(tmp_path: Path) -> None:
    here, there = tmp_path, Path("/dev/shm")
    if not there.is_dir() or here.stat().st_dev == there.stat().st_dev:
        pytest.skip("this machine has no second disk at /dev/shm")
    check_room({here: 1 << 20, there: 0})
    with pytest.raises(StageError, match=r"written to /dev/shm and"):
        check_room({here: 1 << 20, there: 1 << 60})


@pytest.mark.parametrize(
    ("name", "value"),
    [("min_size_bytes", -1), ("max_total_bytes", -1), ("no_peers_timeout_s", -1.0), ("no_peers_timeout_s", math.nan)],
)
def test_params_that_make_no_sense_are_refused(bench: Bench, season: Path, name: str, value: float) -> None:
    with pytest.raises(StageError, match=rf"{name} is .*; it must be 0 \(the default\) or more") as refused:
        bench.fetch(str(season), **{name: value})
    assert refused.value.code.name == "INVALID_ARGUMENT"
