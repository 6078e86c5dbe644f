"""A folder of pictures: one character that training never sees, drawn in many ways, the same for the same seed."""

import json
from pathlib import Path

import PIL.Image

from kyara_miniature.figure import FRAMINGS
from kyara_miniature.pictures import make_pictures
from kyara_miniature.script import FIRST_SEED


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    first, again = make_pictures(tmp_path / "a", 3, count=3), make_pictures(tmp_path / "b", 3, count=3)
    assert first == again
    assert int(first.identity[1:]) >= FIRST_SEED
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["000.png", "001.png", "002.png"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_every_picture_is_of_the_character_and_says_what_it_shows(tmp_path: Path) -> None:
    character = make_pictures(tmp_path / "a", 5, count=12)
    truth = json.loads((tmp_path / "a.truth.json").read_text())
    assert sorted(truth) == sorted(path.name for path in (tmp_path / "a").iterdir())
    assert {each["identity"] for each in truth.values()} == {character.identity}
    assert {each["outfit"] for each in truth.values()} == {outfit.name for outfit in character.outfits}
    assert {tag for each in truth.values() for tag in each["tags"]} >= {*FRAMINGS, "solo"}
    sizes = {PIL.Image.open(tmp_path / "a" / name).size for name in truth}
    assert len(sizes) > 1
