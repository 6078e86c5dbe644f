"""Kyara's own client on the real Triton, which serves a repository from a real S3 server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from kyara_inference import Inference, InferenceError, InferenceUnavailable, KindThreshold, detect, differences, embed, tag
from kyara_inference.clip import embed_pictures, embed_texts
from kyara_inference.repository import MAX_BATCH
from kyara_miniature.pictures import make_pictures
from tests.servers.kyara import run_cli, wait_for
from tests.servers.processes import Server
from tests.servers.s3 import S3Server
from tests.servers.triton import Triton, triton

MODELS = ("miniature-detector", "miniature-ccip-feat", "miniature-ccip-metrics", "miniature-tagger")
MODELS += ("miniature-clip-image", "miniature-clip-text")
FEATURES = "miniature-ccip-feat"
KINDS = [KindThreshold(kind, 0.25, 0.6) for kind in ("person", "halfbody", "head", "face")]
CALLERS, REQUESTS = 6, 8


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[PIL.Image.Image]:
    folder = tmp_path_factory.mktemp("pictures")
    make_pictures(folder, 5, count=8)
    return [PIL.Image.open(path).convert("RGB") for path in sorted(folder.glob("*.png"))]


@pytest.fixture
def on_triton(server: Triton) -> Iterator[Inference]:
    with Inference(server.address) as inference:
        yield inference


@pytest.fixture
def usual(embedded: Server) -> Iterator[Inference]:
    with Inference(embedded.address) as inference:
        yield inference


def test_every_model_of_the_miniature_recipe_is_ready(on_triton: Inference) -> None:
    assert all(on_triton.ready(model) for model in MODELS)
    assert not on_triton.ready("nobody")


@pytest.mark.parametrize("count", [1, 3, 8])
def test_triton_answers_exactly_what_the_embedded_server_does(
    on_triton: Inference, usual: Inference, pictures: list[PIL.Image.Image], count: int
) -> None:
    some = pictures[:count]
    assert len(some) == count
    boxes = detect(on_triton, "miniature-detector", some, KINDS)
    assert boxes == detect(usual, "miniature-detector", some, KINDS)
    assert all(boxes)
    vectors = embed(on_triton, "miniature-ccip", some)
    assert vectors.tobytes() == embed(usual, "miniature-ccip", some).tobytes()
    apart = differences(on_triton, "miniature-ccip", vectors)
    assert apart.tobytes() == differences(usual, "miniature-ccip", vectors).tobytes()
    tags = tag(on_triton, "miniature-tagger", some, 0.35)
    assert tags == tag(usual, "miniature-tagger", some, 0.35)
    assert all(tags)
    seen = embed_pictures(on_triton, "miniature-clip", some)
    assert seen.tobytes() == embed_pictures(usual, "miniature-clip", some).tobytes()
    texts = ["maid", "1girl, solo, upper body, armor, red hair"] * count
    assert embed_texts(on_triton, "miniature-clip", texts).tobytes() == embed_texts(usual, "miniature-clip", texts).tobytes()


def test_requests_of_several_callers_are_run_together_and_each_gets_its_own_answer(server: Triton, usual: Inference) -> None:
    pixels = np.random.default_rng(3).random((CALLERS, 1, 3, 384, 384), np.float32)
    alone = [usual.infer(FEATURES, {"input": each}, "output") for each in pixels]

    def call(number: int) -> list[np.ndarray]:
        with Inference(server.address) as inference:
            return list(inference.infer_each(FEATURES, [{"input": pixels[number]}] * REQUESTS, "output"))

    before = {metric: server.count(metric, FEATURES) for metric in ("nv_inference_exec_count", "nv_inference_request_success")}
    with ThreadPoolExecutor(CALLERS) as threads:
        answers = list(threads.map(call, range(CALLERS)))
    runs, requests = (server.count(metric, FEATURES) - count for metric, count in before.items())
    assert requests == CALLERS * REQUESTS
    assert runs <= requests / 2
    for expected, found in zip(alone, answers, strict=True):
        assert all(each.tobytes() == expected.tobytes() for each in found)


def test_a_client_asks_for_no_more_at_once_than_the_server_takes(on_triton: Inference, usual: Inference) -> None:
    sizes = [len(some) for some in on_triton.batches(FEATURES, range(40), 1)]
    assert sizes == [MAX_BATCH, MAX_BATCH, 40 - 2 * MAX_BATCH]
    assert [len(some) for some in usual.batches(FEATURES, range(40), 1)] == [40]
    with pytest.raises(InferenceError, match=f"must be <= {MAX_BATCH}"):
        on_triton.infer(FEATURES, {"input": np.zeros((MAX_BATCH + 1, 3, 384, 384), np.float32)}, "output")


def test_a_model_that_triton_has_not_is_said_with_what_to_do(on_triton: Inference) -> None:
    with pytest.raises(InferenceError, match=r"'nobody'.*`kyara models repository`") as caught:
        on_triton.infer("nobody", {"input": np.zeros((1, 2), np.float32)}, "output")
    assert not isinstance(caught.value, InferenceUnavailable)


def test_models_that_come_later_are_taken_up_and_a_client_outlives_its_server(s3: S3Server, tmp_path: Path) -> None:
    def put(model: str) -> None:
        to = s3.url("models", "growing")
        done = run_cli("models", "repository", "--to", to, "--model", model, environment=s3.environment)
        assert done.returncode == 0, done.stderr

    put("miniature-tagger")
    pixels = {"input": np.random.default_rng(4).random((2, 3, 384, 384), np.float32)}
    with triton(tmp_path, s3, "models/growing") as server, Inference(server.address) as inference:
        assert not inference.ready(FEATURES)
        put("miniature-ccip")
        wait_for(lambda: inference.ready(FEATURES), 30)
        first = inference.infer(FEATURES, pixels, "output")
        server.kill()
        with pytest.raises(InferenceUnavailable):
            inference.infer(FEATURES, pixels, "output")
        server.start()
        wait_for(lambda: answers(inference), 5)
        assert inference.infer(FEATURES, pixels, "output").tobytes() == first.tobytes()


def answers(inference: Inference) -> bool:
    """Whether the server behind an old connection is reached again."""
    with suppress(InferenceUnavailable):
        return inference.ready(FEATURES)
    return False
