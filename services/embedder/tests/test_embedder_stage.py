"""What the stage `embedder` promises, with a real inference server behind it."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from safetensors import safe_open

from kyara.embedder.v1.embedder_pb2 import EmbedParams
from kyara_artifacts import Image, ImageSet, Store, open_store, png_bytes
from kyara_embedder.settings import EmbedderSettings
from kyara_embedder.stage import OPERATIONS
from kyara_inference import Inference, embed
from kyara_stage import StageError
from kyara_stage.testing import run_operation
from tests.servers.inference import inference_server
from tests.servers.models import write_models

MODEL = "ccip-caformer-24-randaug-pruned"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("inference")
    with inference_server(folder, write_models(folder / "models")) as server:
        yield server.address


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/store")


def settings(address: str, tmp_path: Path) -> EmbedderSettings:
    return EmbedderSettings(store=f"file://{tmp_path}/store", inference=address)


def keep(store: Store, name: str, data: bytes) -> Image:
    digest = store.put(data)
    return Image(name=name, sha256=digest.sha256, size=digest.size_bytes, width=100, height=150)


def picture(seed: int) -> PIL.Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (15, 10, 3), dtype=np.uint8)
    return PIL.Image.fromarray(small).resize((100, 150))


def read(store: Store, outputs: dict, folder: Path) -> tuple[list[str], np.ndarray]:
    path = folder / "vectors.safetensors"
    store.fetch(outputs["vectors"].digest, path)
    with safe_open(path, "numpy") as file:
        return json.loads(file.metadata()["names"]), file.get_tensor("features")


def test_rows_are_the_vectors_of_the_named_images(address: str, store: Store, tmp_path: Path) -> None:
    pictures = [picture(seed) for seed in range(18)]
    images = [keep(store, f"{n}.png", png_bytes(one)) for n, one in enumerate(pictures)]
    images.insert(5, keep(store, "broken.png", b"no picture"))
    inputs = {"images": ImageSet(images=tuple(images)).save(store)}
    outputs, rejected = run_operation(OPERATIONS[0], EmbedParams(model=MODEL), inputs, store, settings(address, tmp_path))
    names, features = read(store, outputs, tmp_path)
    assert [item["item"] for item in rejected] == ["broken.png"]
    assert names == [f"{n}.png" for n in range(18)]
    with Inference(address) as inference:
        assert np.abs(features - embed(inference, MODEL, pictures)).max() <= 1e-5
    assert features.dtype == np.float32


def test_the_same_images_give_the_same_bytes(address: str, store: Store, tmp_path: Path) -> None:
    images = tuple(keep(store, f"{n}.png", png_bytes(picture(n))) for n in range(7))
    inputs = {"images": ImageSet(images=images).save(store)}
    digests = {
        run_operation(OPERATIONS[0], EmbedParams(model=MODEL), inputs, store, settings(address, tmp_path))[0][
            "vectors"
        ].digest.sha256
        for _ in range(2)
    }
    assert len(digests) == 1


def test_a_set_of_nothing_gives_a_matrix_without_rows(address: str, store: Store, tmp_path: Path) -> None:
    inputs = {"images": ImageSet(images=()).save(store)}
    outputs, _ = run_operation(OPERATIONS[0], EmbedParams(model=MODEL), inputs, store, settings(address, tmp_path))
    names, features = read(store, outputs, tmp_path)
    assert names == []
    assert features.shape == (0, 768)


def test_a_model_that_is_no_ccip_model_is_refused(address: str, store: Store, tmp_path: Path) -> None:
    inputs = {"images": ImageSet(images=()).save(store)}
    params = EmbedParams(model="face_detect_v1.4_s")
    with pytest.raises(StageError, match="is a detector model"):
        run_operation(OPERATIONS[0], params, inputs, store, settings(address, tmp_path))
