"""A closer look gives heads and faces that are small in their picture boxes that fit."""

from collections.abc import Iterator

import numpy as np
import PIL.Image
import pytest

from kyara_artifacts import Box
from kyara_detector.closer import look_closer
from kyara_inference import Inference, KindThreshold, detect
from kyara_miniature.cast import make_character
from kyara_miniature.figure import random_view
from kyara_miniature.scene import draw_portrait
from tests.servers.inference import inference_server

MODEL = "miniature-detector"
KINDS = [KindThreshold("person", 0.3, 0.5), KindThreshold("head", 0.4, 0.7), KindThreshold("face", 0.25, 0.7)]
FIRST_CHARACTER = 1_700_000
LEFT, TOP = 500, 300


@pytest.fixture(scope="module")
def inference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inference]:
    with inference_server(tmp_path_factory.mktemp("inference")) as server, Inference(server.address) as client:
        yield client


def wide_shot(number: int) -> tuple[PIL.Image.Image, Box]:
    """A figure of 90 px in a picture of 1280x720, and where its face is."""
    character = make_character(FIRST_CHARACTER + number)
    rng = np.random.default_rng(number)
    drawn = draw_portrait(character, random_view(rng, character, "full_body"), width=480, height=720, rng=rng)
    shrink = 90 / 720
    small = PIL.Image.fromarray(drawn.image).resize((round(480 * shrink), 90), PIL.Image.Resampling.LANCZOS)
    picture = PIL.Image.new("RGB", (1280, 720), (150, 160, 170))
    picture.paste(small, (LEFT, TOP))
    face = next(box for box in drawn.figures[0].boxes if box.kind == "face")
    place = [value * shrink + offset for value, offset in zip((face.x0, face.y0, face.x1, face.y1), (LEFT, TOP) * 2, strict=True)]
    return picture, Box(kind="face", x0=place[0], y0=place[1], x1=place[2], y1=place[3], score=1)


def well_found(face: Box, boxes: list[Box]) -> bool:
    """Whether the picture's best face box is where the face is (intersection over union of at least .5)."""
    box = max((each for each in boxes if each.kind == "face"), key=lambda each: each.score, default=None)
    if box is None:
        return False
    shared = max(0, min(face.x1, box.x1) - max(face.x0, box.x0)) * max(0, min(face.y1, box.y1) - max(face.y0, box.y0))
    return shared >= 0.5 * ((face.x1 - face.x0) * (face.y1 - face.y0) + (box.x1 - box.x0) * (box.y1 - box.y0) - shared)


def test_a_face_that_is_small_in_its_picture_gets_a_box_that_fits(inference: Inference) -> None:
    shots = [wide_shot(number) for number in range(16)]
    pictures = [picture for picture, _ in shots]
    at_first = detect(inference, MODEL, pictures, KINDS)
    closer = look_closer(inference, {MODEL: KINDS}, pictures, at_first)
    before, after = (
        sum(well_found(face, boxes) for (_, face), boxes in zip(shots, found, strict=True)) for found in (at_first, closer)
    )
    assert before <= 12, "too easy: nothing is left to be mended"
    assert after >= 15
    for old, new in zip(at_first, closer, strict=True):
        assert [box for box in new if box.kind == "person"] == [box for box in old if box.kind == "person"]


def test_who_was_seen_whole_or_fills_the_picture_is_not_looked_at_again(inference: Inference) -> None:
    picture = PIL.Image.new("RGB", (1280, 720), "white")
    person = Box(kind="person", x0=100, y0=100, x1=250, y1=400, score=0.9)
    head = Box(kind="head", x0=120, y0=100, x1=180, y1=160, score=0.9)
    face = head.model_copy(update={"kind": "face"})
    large = person.model_copy(update={"x1": 900.0, "y1": 720.0})
    for boxes in ([person, head, face], [large]):
        assert look_closer(inference, {"no such model": KINDS}, [picture], [boxes]) == [boxes]
