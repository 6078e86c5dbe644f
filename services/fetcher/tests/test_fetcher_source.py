"""Sources are pinned: the same torrent by any link is the same work, files are held to their digests."""

from pathlib import Path

import pytest

from kyara_artifacts import get_json
from kyara_stage import StageError

HASH = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "   ",
        "nonsense",
        "/there/is/no/such.mkv",
        "https://example.org/film.mkv",
        "magnet:?dn=nothing",
        "magnet:?xt=urn:btih:zzzz",
        "magnet:?xt=urn:btih:" + "a" * 20_000,
        "a\0b",
        "a" * 5000,
        "~nobody-of-that-name/film.mkv",
        "ftp://example.org/a.torrent",
    ],
)
def test_nonsense_is_refused_in_words(bench, source: str) -> None:
    with pytest.raises(StageError) as refused:
        bench.resolve(source)
    assert refused.value.code.name == "INVALID_ARGUMENT"
    assert ";" in str(refused.value), "the message says what to do"


def test_files_that_are_neither_torrent_nor_video_are_refused(bench, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "broken.torrent").write_bytes(b"d4:infoi1ee")
    (tmp_path / "empty").mkdir()
    for name in ("notes.txt", "broken.torrent", "empty"):
        with pytest.raises(StageError) as refused:
            bench.resolve(str(tmp_path / name))
        assert refused.value.code.name == "INVALID_ARGUMENT"


def test_the_same_torrent_by_another_link_is_the_same_pin(bench) -> None:
    plain = bench.resolve(f"magnet:?xt=urn:btih:{HASH}")
    by_peer = bench.resolve(f"magnet:?xt=urn:btih:{HASH}&dn=Show&x.pe=127.0.0.1:7001&tr=http%3A%2F%2Fexample.org%2Fannounce")
    assert by_peer == plain
    assert get_json(bench.store, plain) == {"kind": "torrent", "v1": HASH, "v2": ""}


def test_hints_of_all_links_are_remembered_newest_first(bench) -> None:
    for port in (7001, 7002):
        bench.resolve(
            f"magnet:?xt=urn:btih:{HASH}&x.pe=127.0.0.1:{port}&tr=file%3A%2F%2F%2Fetc%2Fpasswd&tr=udp%3A%2F%2Ft.example:1"
        )
    record = bench.store.get_record(f"torrents/{HASH}")
    assert b'"peers":[["127.0.0.1",7002],["127.0.0.1",7001]]' in record
    assert b'"trackers":["udp://t.example:1"]' in record


def test_a_folder_gives_its_videos_by_name(bench, tmp_path: Path) -> None:
    folder = tmp_path / "season"
    (folder / "extras").mkdir(parents=True)
    content = {"e02.mkv": b"two", "e01.mkv": b"one", "extras/menu.mp4": b"menu", "notes.txt": b"no"}
    for name, data in content.items():
        (folder / name).write_bytes(data)
    assert bench.fetch(str(folder)) == {name: content[name] for name in ("e01.mkv", "e02.mkv", "extras/menu.mp4")}
    assert bench.fetch(str(folder), patterns=["e*.mkv"], min_size_bytes=3).keys() == {"e01.mkv", "e02.mkv"}
    assert [one["item"] for one in bench.rejected] == ["extras/menu.mp4"]


def test_files_that_change_after_they_were_pinned_are_refused(bench, tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(b"before")
    pin = bench.resolve(str(film))
    film.write_bytes(b"after!")
    with pytest.raises(StageError, match="has changed"):
        bench.fetch_pinned(pin)
    film.unlink()
    with pytest.raises(StageError, match="has changed"):
        bench.fetch_pinned(pin)
