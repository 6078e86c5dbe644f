"""The sheet and the curve: one cell a preview, the same bytes every time."""

import io

import numpy as np
import PIL.Image

from kyara_evaluator.figures import preview_sheet, score_curve
from kyara_evaluator.judging import StepMarks
from kyara_evaluator.likeness import Likeness
from kyara_evaluator.scoring import StepScore

SCORES = [StepScore(step, recscore, 0.3, {}, 0) for step, recscore in ((0, 0.08), (40, 0.35), (80, 0.74), (120, 0.7))]


def colours() -> dict[tuple[int, str], PIL.Image.Image]:
    """A picture of its own colour for each step and prompt."""
    cells = [(score.step, prompt) for score in SCORES for prompt in ("plain", "pattern_0")]
    return {cell: PIL.Image.new("RGB", (72, 72), (20 * n, 255 - 20 * n, 128)) for n, cell in enumerate(cells)}


def test_every_preview_is_on_the_sheet() -> None:
    data = preview_sheet(colours(), ["plain", "pattern_0"], SCORES, 80)
    shown = {tuple(pixel) for pixel in np.asarray(PIL.Image.open(io.BytesIO(data))).reshape(-1, 3)}
    assert {picture.getpixel((0, 0)) for picture in colours().values()} <= shown
    assert preview_sheet(colours(), ["plain", "pattern_0"], SCORES, 80) == data


def test_the_curve_is_a_picture_with_the_same_bytes_every_time() -> None:
    marks = [StepMarks(score.step, 0.5, 0.4, 0.9, {}, 0.1, 0.0, 1.0, 0.0, 0.0) for score in SCORES]
    unasked = {score.step: Likeness() for score in SCORES}
    data = score_curve(SCORES[1:], SCORES[0], marks, 80, unasked)
    assert PIL.Image.open(io.BytesIO(data)).size[0] > 600
    assert score_curve(SCORES[1:], SCORES[0], marks, 80, unasked) == data
    asked = {score.step: Likeness(text=0.3) for score in SCORES}
    assert score_curve(SCORES[1:], SCORES[0], marks, 80, asked) != data, "likeness of text and picture has a line of its own"
