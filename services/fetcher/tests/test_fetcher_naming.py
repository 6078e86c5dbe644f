"""No name from outside becomes a path, and videos are told by their names."""

from pathlib import PurePosixPath

import pytest

from kyara_fetcher.naming import media_type, safe_name, unique_names, wanted


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Show - 01.mkv", "Show - 01.mkv"),
        ("青い空 第1話.mkv", "青い空 第1話.mkv"),
        ("../../etc/passwd.mkv", "etc/passwd.mkv"),
        ("/root/a.mkv", "root/a.mkv"),
        ("C:\\Windows\\a.mkv", "C_/Windows/a.mkv"),
        ("a/./b/../c.mkv", "a/b/c.mkv"),
        ("line\nbreak\x00\x1b[31m.mkv", "linebreak[31m.mkv"),
        ("\u202etxt.mkv", "txt.mkv"),
        ("..", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_names_are_made_harmless(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_name_that_is_too_long_keeps_its_ending() -> None:
    name = PurePosixPath(safe_name("a" * 5000 + ".mkv"))
    assert len(name.name) == 120
    assert name.suffix == ".mkv"


def test_names_stay_apart() -> None:
    assert unique_names(["a.mkv", "A.mkv", "../a.mkv", "b/a.mkv"]) == ["a.mkv", "A (2).mkv", "a (3).mkv", "b/a.mkv"]


def test_videos_are_told_by_their_ending() -> None:
    assert media_type("x.MKV") == "video/x-matroska"
    assert media_type("x.mkv.exe") is None


def test_patterns_match_the_path_or_its_last_part_whatever_the_case() -> None:
    assert wanted("Season 1/Show 01.mkv", [])
    assert wanted("Season 1/Show 01.mkv", ["show*"])
    assert wanted("Season 1/Show 01.mkv", ["season 1/*"])
    assert not wanted("Season 1/Show 01.mkv", ["*02*"])
