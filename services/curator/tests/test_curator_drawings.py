"""Crops of one drawing are told, whatever lies behind it and wherever the boxes end; another pose or mood is another."""

from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

from kyara_artifacts import Box
from kyara_curator.drawings import Drawing, drawing_of, same_drawings
from kyara_miniature.cast import make_character
from kyara_miniature.figure import View, random_view, stilled
from kyara_miniature.scene import draw_portrait
from services.curator.tests.curator_pictures import jpeg

SEEDS = range(8_300_000, 8_300_004)


def view_of(seed: int) -> View:
    rng = np.random.default_rng(seed)
    return replace(stilled(random_view(rng, make_character(seed), "cowboy_shot")), pose="standing", expression="smile")


def drawn(seed: int, view: View, backdrop: int, grow: int = 0, shift: int = 0) -> Drawing:
    """The view before a backdrop, with boxes that are `grow` px too large, the crop beginning `shift` px further in."""
    rng = np.random.default_rng(backdrop)
    picture = draw_portrait(make_character(seed), view, width=320, height=420, rng=rng)
    boxes = [
        Box(kind=b.kind, x0=b.x0 - grow - shift, y0=b.y0 - grow, x1=b.x1 + grow - shift, y1=b.y1 + grow, score=1)
        for b in picture.figures[0].boxes
    ]
    found = drawing_of(PIL.Image.fromarray(picture.image).crop((shift, 0, 320, 420)), boxes)
    assert found
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_one_drawing_is_the_same_after_a_codec_and_with_other_boxes(seed: int) -> None:
    view = view_of(seed)
    whole, moved = drawn(seed, view, 1), drawn(seed, view, 1, grow=4, shift=20)
    assert same_drawings([whole, moved, whole]) == [0, 0, 0]


@pytest.mark.parametrize("seed", SEEDS)
def test_one_drawing_is_the_same_when_its_boxes_are_of_another_size(seed: int) -> None:
    view = replace(view_of(seed), framing="full_body")
    assert same_drawings([drawn(seed, view, 1), drawn(seed, view, 1, grow=9)]) == [0, 0]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("change", [{"expression": "shout"}, {"expression": "laugh"}, {"tilt": 9.0}])
def test_another_mood_is_another_drawing(seed: int, change: dict) -> None:
    view = view_of(seed)
    assert same_drawings([drawn(seed, view, 1), drawn(seed, replace(view, **change), 1)]) == [0, 1]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("pose", ["arms_up", "outstretched_arms"])
def test_another_pose_is_another_drawing(seed: int, pose: str) -> None:
    view = replace(view_of(seed), framing="full_body")
    assert same_drawings([drawn(seed, view, 1), drawn(seed, replace(view, pose=pose), 1)]) == [0, 1]


def test_another_character_in_one_pose_is_another_drawing() -> None:
    first, second = (drawn(seed, view_of(SEEDS[0]), 1) for seed in SEEDS[:2])
    assert same_drawings([first, second]) == [0, 1]


def test_a_crop_without_a_head_repeats_nothing() -> None:
    view = view_of(SEEDS[0])
    assert drawing_of(PIL.Image.new("RGB", (60, 90)), []) is None
    assert same_drawings([None, drawn(SEEDS[0], view, 1), None]) == [0, 1, 2]


def test_compression_makes_no_other_drawing() -> None:
    view = view_of(SEEDS[0])
    picture = draw_portrait(make_character(SEEDS[0]), view, width=320, height=420, rng=np.random.default_rng(1))
    boxes = [Box(kind=b.kind, x0=b.x0, y0=b.y0, x1=b.x1, y1=b.y1, score=1) for b in picture.figures[0].boxes]
    image = PIL.Image.fromarray(picture.image)
    assert same_drawings([drawing_of(image, boxes), drawing_of(jpeg(image, 50), boxes)]) == [0, 0]
