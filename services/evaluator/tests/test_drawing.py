"""Drawing: prompt weights, the LoRA's weight, and that the same request gives the same picture."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from kyara_artifacts import FileSet, Store
from kyara_evaluator.drawing import Previewer
from kyara_evaluator.request import DrawRequest
from kyara_evaluator.weighting import encode_prompts, segments

REQUEST = DrawRequest(
    step=10,
    lora=None,
    prompts=[
        {"name": "a", "text": "kyara, blue hair", "negative": "bad", "seed": 1},
        {"name": "b", "text": "(kyara:1.5), maid", "negative": "", "seed": 2},
    ],
    width=64,
    height=48,
    sampler_steps=4,
    guidance=5.0,
    clip_skip=2,
    lora_weight=0.85,
)


@pytest.fixture(scope="module")
def previewer(models: Path) -> Previewer:
    return Previewer(models / "meinamix_v11", threads=1)


def pixels(previewer: Previewer, request: DrawRequest, lora: Path | None) -> list[np.ndarray]:
    return [drawn.pixels for drawn in previewer.draw(request, lora)]


def test_a_prompt_is_read_in_pieces_of_one_weight() -> None:
    assert segments("a, (b c:1.15), d (series)") == [("a, ", 1.0), ("b c", 1.15), (", d (series)", 1.0)]


def test_without_weights_a_prompt_is_encoded_as_diffusers_does(previewer: Previewer) -> None:
    pipeline: Any = previewer._pipeline
    text = "kyara, blue hair"
    with torch.no_grad():
        expected, _ = pipeline.encode_prompt(text, "cpu", 1, False)
        assert torch.equal(encode_prompts(pipeline.tokenizer, pipeline.text_encoder, [text], 1), expected)


def test_a_weight_moves_only_what_follows_it_away_from_the_empty_prompt(previewer: Previewer) -> None:
    pipeline: Any = previewer._pipeline
    with torch.no_grad():
        plain, weighted, empty = encode_prompts(pipeline.tokenizer, pipeline.text_encoder, ["ab cd", "(ab:2)cd", ""], 1).unbind()
    assert torch.equal(weighted[0], plain[0])
    assert torch.allclose(weighted[1] - empty[1], 2 * (plain[1] - empty[1]), atol=1e-5)
    assert torch.equal(weighted[3:], plain[3:])


def test_a_long_prompt_is_cut_at_the_tokenizers_length(previewer: Previewer) -> None:
    pipeline: Any = previewer._pipeline
    with torch.no_grad():
        assert encode_prompts(pipeline.tokenizer, pipeline.text_encoder, ["x" * 500], 1).shape == (1, 77, 16)


def test_a_request_gives_the_same_pictures_whatever_was_drawn_before(
    models: Path, previewer: Previewer, store: Store, saves: FileSet, tmp_path: Path
) -> None:
    lora = tmp_path / "lora.safetensors"
    store.fetch(saves.files[1].digest, lora)
    plain = pixels(previewer, REQUEST, None)
    with_lora = pixels(previewer, REQUEST, lora)
    assert [picture.shape for picture in plain] == [(48, 64, 3)] * 2
    assert not np.array_equal(plain, with_lora)
    assert np.array_equal(pixels(previewer, REQUEST, None), plain), "the LoRA is gone again"
    fresh = Previewer(models / "meinamix_v11", threads=1)
    assert np.array_equal(pixels(fresh, REQUEST, lora), with_lora)


@pytest.mark.parametrize(
    "scheduler", ["", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "UniPCMultistepScheduler", "DDIMScheduler"]
)
def test_a_picture_does_not_depend_on_which_others_are_drawn(previewer: Previewer, scheduler: str) -> None:
    prompts = [{"name": str(n), "text": f"kyara, maid {n}", "negative": "", "seed": n} for n in range(7)]
    all_of_them = pixels(previewer, replace(REQUEST, scheduler=scheduler, prompts=prompts), None)
    backwards = pixels(previewer, replace(REQUEST, scheduler=scheduler, prompts=prompts[::-1]), None)
    assert np.array_equal(backwards[::-1], all_of_them)
    for count in (1, 2, 3, 5):
        some = pixels(previewer, replace(REQUEST, scheduler=scheduler, prompts=prompts[1 : 1 + count]), None)
        assert np.array_equal(some, all_of_them[1 : 1 + count])
    if scheduler:
        assert not np.array_equal(all_of_them, pixels(previewer, replace(REQUEST, prompts=prompts), None))


def test_a_scheduler_that_diffusers_does_not_have_is_refused_with_those_it_has(previewer: Previewer) -> None:
    with pytest.raises(ValueError, match=r"no scheduler 'os\.system'.*DDIMScheduler"):
        previewer.draw(replace(REQUEST, scheduler="os.system"), None)


def test_the_loras_weight_counts(previewer: Previewer, store: Store, saves: FileSet, tmp_path: Path) -> None:
    lora = tmp_path / "lora.safetensors"
    store.fetch(saves.files[1].digest, lora)
    none = pixels(previewer, replace(REQUEST, lora_weight=1e-9), lora)
    assert np.abs(np.subtract(none, pixels(previewer, REQUEST, None), dtype=float)).max() <= 1
    assert not np.array_equal(none, pixels(previewer, REQUEST, lora))


def test_numbers_that_are_no_colours_are_told(models: Path) -> None:
    previewer = Previewer(models / "meinamix_v11", threads=1)
    pipeline: Any = previewer._pipeline
    with torch.no_grad():
        pipeline.vae.decoder.conv_out.weight.fill_(float("nan"))
    drawn = previewer.draw(REQUEST, None)
    assert [picture.finite for picture in drawn] == [False, False]
    assert drawn[0].pixels.max() == 0


def test_a_saves_own_words_draw_what_diffusers_draws_with_them(models: Path, previewer: Previewer, tmp_path: Path) -> None:
    dice = torch.Generator().manual_seed(5)
    words = tmp_path / "hana.embedding.safetensors"
    save_file({"emb_params": torch.randn((3, 16), generator=dice)}, words)
    request = replace(REQUEST, prompts=[{"name": "a", "text": "kyara, blue hair", "negative": "", "seed": 1}], trigger="kyara")
    plain = pixels(previewer, request, None)
    (own,) = (drawn.pixels for drawn in previewer.draw(request, None, words))
    assert not np.array_equal(own, plain[0])
    assert np.array_equal(pixels(previewer, request, None), plain), "the words are gone again"

    theirs: Any = Previewer(models / "meinamix_v11", threads=1)
    pipeline = theirs._pipeline
    pipeline.load_textual_inversion(str(words), token="hana")
    converted = pipeline.maybe_convert_prompt("hana, blue hair", pipeline.tokenizer)
    (expected,) = pixels(theirs, replace(request, prompts=[{**request.prompts[0], "text": converted}], trigger=""), None)
    assert np.array_equal(own, expected)


def test_words_of_another_width_are_refused(previewer: Previewer, tmp_path: Path) -> None:
    save_file({"emb_params": torch.zeros(3, 99)}, tmp_path / "wide.safetensors")
    with pytest.raises(ValueError, match="width 99 do not fit"):
        previewer.draw(REQUEST, None, tmp_path / "wide.safetensors")
    save_file({"clip_l": torch.zeros(3, 16), "clip_g": torch.zeros(3, 16)}, tmp_path / "xl.safetensors")
    with pytest.raises(ValueError, match="clip_g, clip_l, not one matrix"):
        previewer.draw(REQUEST, None, tmp_path / "xl.safetensors")
