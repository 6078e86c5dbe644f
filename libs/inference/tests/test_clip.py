"""Texts and pictures by CLIP: of any length, any size and any number."""

from collections.abc import Iterator

import numpy as np
import PIL.Image
import pytest

from kyara_inference import Inference, InferenceError, UnknownModel
from kyara_inference.clip import LENGTH, embed_pictures, embed_texts
from kyara_miniature.cast import make_character
from kyara_miniature.figure import random_view
from kyara_miniature.scene import draw_portrait
from tests.servers.inference import inference_server

CLIP = "miniature-clip"
SIZES = ((224, 224), (72, 72), (384, 216))
TEXTS = ["pink hair, solo, full body, maid, apron", "1girl", "", "a word_that nobody knows: zyqqa 🌸"]


@pytest.fixture(scope="module")
def inference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inference]:
    with inference_server(tmp_path_factory.mktemp("clip")) as server, Inference(server.address) as connected:
        yield connected


@pytest.fixture(scope="module")
def pictures() -> list[PIL.Image.Image]:
    """Drawings at, above and below the model's own size, square and wide."""
    drawn = []
    for number, (width, height) in enumerate(SIZES):
        rng = np.random.default_rng(number)
        character = make_character(1_000_700 + number)
        drawn.append(draw_portrait(character, random_view(rng, character), width=width, height=height, rng=rng).image)
    return [PIL.Image.fromarray(each) for each in drawn]


def test_a_text_is_read_up_to_77_tokens_and_what_comes_after_changes_nothing(inference: Inference) -> None:
    words = ["maid", "red hair", "armor", "blue eyes"] * 20
    short, long, longer, other = embed_texts(
        inference, CLIP, ["maid", ", ".join(words), ", ".join([*words, "halo"]), ", ".join(["halo", *words])]
    )
    assert LENGTH == 77
    np.testing.assert_allclose(long, longer, atol=1e-6)
    assert np.abs(long - other).max() > 1e-3
    assert np.abs(long - short).max() > 1e-3


def test_texts_are_told_the_same_alone_and_among_longer_ones(inference: Inference) -> None:
    together = embed_texts(inference, CLIP, TEXTS)
    alone = np.concatenate([embed_texts(inference, CLIP, [text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_more_than_a_request_carries_goes_in_several_and_nothing_is_nothing(
    inference: Inference, pictures: list[PIL.Image.Image]
) -> None:
    many = pictures * 16
    vectors = embed_pictures(inference, CLIP, many)
    np.testing.assert_allclose(vectors, np.tile(embed_pictures(inference, CLIP, pictures), (16, 1)), atol=1e-5)
    assert embed_texts(inference, CLIP, [f"girl {number}" for number in range(200)]).shape == (200, 512)
    assert embed_pictures(inference, CLIP, []).shape == embed_texts(inference, CLIP, []).shape == (0, 512)


def test_another_models_name_and_tokens_of_another_type_are_refused(inference: Inference) -> None:
    with pytest.raises(UnknownModel, match="is a tagger model"):
        embed_texts(inference, "miniature-tagger", ["maid"])
    tokens = np.ones((1, 4), np.float32)
    with pytest.raises(InferenceError, match="INT64"):
        inference.infer(f"{CLIP}-text", {"input_ids": tokens, "attention_mask": tokens}, "embeddings")
