"""What the quality filter promises: each flaw is told, is the worst of its crop, and sets it aside when asked to."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from PIL.ImageFilter import GaussianBlur

from kyara.curator.v1.curator_pb2 import CleanParams
from kyara_artifacts import Box, Image, ImageSet, Store, open_store
from kyara_curator.framing import apart, framing_of
from kyara_curator.quality import Flaws, flaws_of
from kyara_curator.settings import CuratorSettings
from kyara_curator.stage import OPERATIONS
from kyara_miniature.cast import make_character
from kyara_miniature.figure import random_view
from kyara_miniature.scene import draw_portrait
from kyara_stage import StageError
from kyara_stage.testing import run_operation
from services.curator.tests.curator_pictures import jpeg, keep

SEEDS = range(8_200_000, 8_200_006)
Spoil = Callable[[PIL.Image.Image], PIL.Image.Image]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/store")


def figure(seed: int) -> tuple[PIL.Image.Image, tuple[Box, ...]]:
    """A drawn figure down to the thighs, with its true boxes."""
    rng = np.random.default_rng(seed)
    character = make_character(seed)
    picture = draw_portrait(character, random_view(rng, character, "cowboy_shot"), width=320, height=420, rng=rng)
    boxes = tuple(Box(kind=b.kind, x0=b.x0, y0=b.y0, x1=b.x1, y1=b.y1, score=1) for b in picture.figures[0].boxes)
    return PIL.Image.fromarray(picture.image), boxes


def frame_of(boxes: tuple[Box, ...], width: int = 320, height: int = 420) -> Image:
    return Image(name="f", sha256="0" * 64, size=1, width=width, height=height, boxes=boxes)


def flaws(seed: int, spoil: Spoil) -> Flaws:
    picture, boxes = figure(seed)
    person = next(box for box in boxes if box.kind == "person")
    return flaws_of(spoil(picture), boxes, framing_of(person, frame_of(boxes)))


def smeared(picture: PIL.Image.Image) -> PIL.Image.Image:
    pixels = np.asarray(picture, dtype=np.float32)
    return PIL.Image.fromarray(np.mean([np.roll(pixels, step, 1) for step in range(-9, 10)], axis=0).astype(np.uint8))


SPOILS: dict[str, Spoil] = {
    "blur": lambda picture: picture.filter(GaussianBlur(5)),
    "smear": smeared,
    "compression": lambda picture: jpeg(picture, 10),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_clean_drawing_has_no_flaw(seed: int) -> None:
    assert flaws(seed, lambda picture: picture).quality > 0.7


@pytest.mark.parametrize("name", SPOILS)
def test_a_flaw_is_told_by_its_name(name: str) -> None:
    for seed in SEEDS:
        found = flaws(seed, SPOILS[name])
        assert found.quality < 0.3
        assert found.scores[name] > 0.7
        assert found.scores["quality"] == round(found.quality, 4)


def box(kind: str, *corners: float) -> Box:
    return Box(kind=kind, x0=corners[0], y0=corners[1], x1=corners[2], y1=corners[3], score=1)


@pytest.mark.parametrize(
    ("head", "face", "cut"),
    [
        ((20, 30, 100, 120), (35, 70, 85, 115), 0.0),  # nowhere near the edge
        ((20, 0, 100, 90), (35, 40, 85, 85), 0.0),  # only touches it
        ((20, 0, 100, 50), (35, 0, 85, 45), 1.0),  # hair and brow are beyond it
        ((0, 30, 50, 120), (0, 70, 30, 115), 1.0),  # a side is beyond it
        ((20, 0, 100, 60), None, 1.0),
    ],
)
def test_a_head_of_which_much_is_beyond_the_frame_is_cut_off(
    head: tuple[float, ...], face: tuple[float, ...] | None, cut: float
) -> None:
    person = box("person", 0, 0, 110, 300)
    frame = frame_of((person, box("head", *head), *([box("face", *face)] if face else [])))
    assert framing_of(person, frame).cut_off == pytest.approx(cut, abs=0.05)


def test_two_tries_at_one_face_are_one() -> None:
    face, again, other = box("face", 10, 10, 60, 60), box("face", 14, 20, 70, 80), box("face", 100, 10, 150, 60)
    assert apart([face, again]) == 1
    assert apart([face, again, other]) == 2


def test_who_stands_behind_somebody_is_hidden_and_who_stands_before_is_not() -> None:
    behind, head_behind = box("person", 100, 60, 180, 300), box("head", 115, 60, 165, 120)
    before, head_before = box("person", 60, 40, 160, 420), box("head", 65, 40, 145, 130)
    frame = frame_of((behind, head_behind, before, head_before))
    assert framing_of(behind, frame).occlusion > 0.7
    assert framing_of(before, frame).occlusion == 0


@pytest.mark.parametrize(
    ("face", "score", "hidden"),
    [
        ((70, 64, 130, 115), 0.9, False),
        ((70, 64, 130, 115), 0.4, False),  # its eyes are shut
        ((80, 64, 125, 115), 0.5, True),  # a side of it is behind something
        ((70, 42, 130, 110), 0.6, True),  # hair and brow are
        ((80, 64, 125, 115), 0.9, False),  # it looks aside
    ],
)
def test_a_head_of_which_something_hides_a_part_is_told_from_a_whole_one(
    face: tuple[float, ...], score: float, hidden: bool
) -> None:
    person, head = box("person", 40, 30, 160, 400), box("head", 60, 40, 140, 120)
    seen = box("face", *face).model_copy(update={"score": score})
    assert (framing_of(person, frame_of((person, head, seen))).occlusion > 0.5) is hidden


def test_a_face_clipped_by_the_frames_side_is_cut_off() -> None:
    person, head, face = box("person", 0, 30, 110, 300), box("head", 0, 30, 80, 120), box("face", 0, 70, 30, 115)
    assert framing_of(person, frame_of((person, head, face))).cut_off > 0.5


def test_the_filter_sets_aside_with_the_reason_and_keeps_the_scores(store: Store) -> None:
    picture, boxes = figure(SEEDS[0])
    sharp, soft = keep(store, picture, "a.png", boxes), keep(store, SPOILS["blur"](picture), "b.png", boxes)
    params = CleanParams(min_side=48, min_quality=0.5)
    outputs, rejected = run_operation(
        OPERATIONS[0], params, {"frames_000": ImageSet(images=(sharp, soft)).save(store)}, store, settings()
    )
    (crop,) = ImageSet.load(store, outputs["crops"])
    assert crop.parent == "a.png"
    assert set(crop.scores) == {"blur", "smear", "compression", "occlusion", "cut_off", "quality"}
    assert [each["item"] for each in rejected] == ["b_p0.png"]
    assert "at least 0.5 is wanted: " in rejected[0]["reason"]


def test_a_quality_that_makes_no_sense_is_refused(store: Store) -> None:
    with pytest.raises(StageError, match=r"min_quality is 1\.5; it must be in 0\.\.1"):
        run_operation(
            OPERATIONS[0], CleanParams(min_quality=1.5), {"frames_000": ImageSet(images=()).save(store)}, store, settings()
        )


def settings() -> CuratorSettings:
    return CuratorSettings(store="file:///unused", inference="127.0.0.1:9")
