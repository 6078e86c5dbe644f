"""The committed base model: a Stable Diffusion pipeline that reads this world's tags and keeps its pictures' detail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

import kyara_miniature  # noqa: E402
from kyara_miniature.cast import make_character  # noqa: E402
from kyara_miniature.figure import random_view  # noqa: E402
from kyara_miniature.scene import draw_portrait  # noqa: E402
from kyara_miniature.tags import TAGS  # noqa: E402

FOLDER = Path(kyara_miniature.__file__).parent / "models" / "base"
UNSEEN = 1_000_500
PSNR_FLOOR = 24.0
"""dB; the card has the measured mean, a few pictures may lie below it."""


@pytest.fixture(scope="module")
def pipeline() -> Any:
    torch.set_num_threads(1)
    loaded = diffusers.StableDiffusionPipeline.from_pretrained(str(FOLDER), safety_checker=None, torch_dtype=torch.float32)
    loaded.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(loaded.scheduler.config, use_karras_sigmas=True)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def _draw(pipeline: Any, prompt: str, seed: int, steps: int = 12) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    result = pipeline(
        prompt, width=64, height=96, num_inference_steps=steps, guidance_scale=6.0, generator=generator, output_type="np"
    )
    return result.images[0]


def test_the_same_seed_draws_the_same_picture(pipeline: Any) -> None:
    first = _draw(pipeline, "1girl, solo, upper body, blue hair", 5, steps=4)
    assert first.shape == (96, 64, 3)
    assert np.array_equal(first, _draw(pipeline, "1girl, solo, upper body, blue hair", 5, steps=4))
    assert not np.array_equal(first, _draw(pipeline, "1girl, solo, upper body, blue hair", 6, steps=4))


def test_every_tag_is_known_word_by_word_and_other_text_is_not_lost(pipeline: Any) -> None:
    tokenizer = pipeline.tokenizer
    for tag in TAGS:
        words = tag.replace("_", " ")
        pieces = len(words.split()) + (1 if tag[0].isdigit() else 0)
        assert len(tokenizer(words).input_ids) == pieces + 2, tag
    assert tokenizer.model_max_length == 77
    unknown = tokenizer("zyqqa").input_ids
    assert len(unknown) > 3
    assert tokenizer.unk_token_id not in unknown[1:-1]


def test_the_autoencoder_keeps_unseen_drawings(pipeline: Any) -> None:
    errors: list[float] = []
    for seed in range(UNSEEN, UNSEEN + 8):
        rng = np.random.default_rng(seed)
        character = make_character(seed)
        view = random_view(rng, character, ("portrait", "upper_body")[seed % 2])
        image = draw_portrait(character, view, width=320, height=320, rng=rng).image
        small = image.reshape(80, 4, 80, 4, 3).mean(axis=(1, 3), dtype=np.float32)
        x = torch.from_numpy(small / 127.5 - 1).permute(2, 0, 1)[None]
        with torch.no_grad():
            y = pipeline.vae.decode(pipeline.vae.encode(x).latent_dist.mean).sample.clamp(-1, 1)
        errors.append(float((y - x).square().mean()) / 4)
    assert -10 * np.log10(np.mean(errors)) >= PSNR_FLOOR


def test_pictures_have_the_hair_that_was_asked_for(pipeline: Any) -> None:
    def redness(hair: str) -> float:
        pictures = [_draw(pipeline, f"1girl, solo, portrait, {hair} hair, long hair", seed) for seed in range(3)]
        return float(np.mean([picture[:, :, 0] - picture[:, :, 2] for picture in pictures]))

    assert redness("red") > redness("blue") + 0.15
