"""What the vector of a figure's clothes promises."""

from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

from kyara_artifacts import Box
from kyara_embedder.clothes import CLOTHES, clothes
from kyara_miniature.cast import make_character
from kyara_miniature.figure import random_view
from kyara_miniature.scene import draw_portrait

SEEDS = range(8_400_000, 8_400_008)


def worn(seed: int, outfit: int, pose: str, framing: str = "cowboy_shot") -> np.ndarray:
    rng = np.random.default_rng([seed, len(pose)])
    character = make_character(seed)
    view = replace(random_view(rng, character, framing), outfit=outfit, pose=pose)
    picture = draw_portrait(character, view, width=300, height=400, rng=rng)
    boxes = [Box(kind=b.kind, x0=b.x0, y0=b.y0, x1=b.x1, y1=b.y1, score=1) for b in picture.figures[0].boxes]
    return clothes(PIL.Image.fromarray(picture.image), boxes)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_outfit_in_two_poses_is_nearer_than_two_outfits(seed: int) -> None:
    first, again, other = worn(seed, 0, "standing"), worn(seed, 0, "hand_on_hip"), worn(seed, 1, "standing")
    assert first.shape == (CLOTHES,)
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-4)
    assert first @ again > first @ other


def test_a_head_alone_shows_no_clothes() -> None:
    assert not worn(SEEDS[0], 0, "standing", "portrait").any()
    assert not clothes(PIL.Image.new("RGB", (50, 80)), []).any()
