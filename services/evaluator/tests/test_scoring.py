"""RecScore by hand, and the rule for the best step."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from kyara_evaluator.scoring import Preview, StepScore, best_step, score_steps, shows_nothing
from kyara_miniature.pictures import make_pictures


def test_recscore_is_the_share_of_pairs_at_or_under_the_threshold() -> None:
    previews = [Preview(0, "a", False), Preview(10, "a", False), Preview(10, "b", False)]
    differences = np.array([[0.9, 0.9, 0.9, 0.9], [0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.2, 0.9]], np.float32)
    base, step = score_steps(previews, differences, float(np.float32(0.2)))
    assert (base.step, base.recscore) == (0, 0)
    assert step.recscore == (2 + 3) / 8
    assert step.per_prompt == {"a": 0.5, "b": 0.75}
    assert step.mean_difference == pytest.approx((1.0 + 1.5) / 8)


def test_a_corrupt_preview_is_counted_and_is_like_no_picture() -> None:
    previews = [Preview(10, "a", True), Preview(10, "b", False)]
    (step,) = score_steps(previews, np.zeros((2, 3), np.float32), 0.2)
    assert (step.corrupt, step.recscore, step.mean_difference) == (1, 0.5, 0.5)


def test_the_best_step_is_the_earliest_of_the_highest_that_trained_long_enough() -> None:
    scores = [StepScore(step, recscore, 0, {}, 0) for step, recscore in ((50, 0.9), (100, 0.5), (150, 0.8), (200, 0.8))]
    assert best_step(scores, images=25, min_steps_per_image=4)[0] == 150
    assert best_step(scores, images=25, min_steps_per_image=0)[0] == 50


def test_when_no_save_trained_long_enough_all_of_them_count() -> None:
    scores = [StepScore(50, 0.9, 0, {}, 0), StepScore(100, 0.5, 0, {}, 0)]
    step, rule = best_step(scores, images=1000, min_steps_per_image=6)
    assert step == 50
    assert "none" in rule


def test_a_picture_of_one_colour_shows_nothing() -> None:
    flat = np.full((8, 8, 3), (10, 200, 40), np.uint8)
    assert shows_nothing(flat)
    flat[:4] += 20
    assert not shows_nothing(flat)


def test_noise_shows_nothing_and_a_drawing_however_small_shows_something(tmp_path: Path) -> None:
    assert shows_nothing(np.random.default_rng(1).integers(0, 255, (72, 72, 3), dtype=np.uint8))
    make_pictures(tmp_path / "drawn", 5, count=6)
    for path in sorted((tmp_path / "drawn").glob("*.png")):
        with PIL.Image.open(path) as picture:
            assert not shows_nothing(np.asarray(picture.convert("RGB").resize((64, 64))))
