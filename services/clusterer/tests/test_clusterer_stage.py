"""What the stage `clusterer` promises, with a real inference server behind it."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from kyara.clusterer.v1.clusterer_pb2 import ClusterParams
from kyara_artifacts import Image, ImageSet, Store, get_json, open_store, ref
from kyara_clusterer.settings import ClustererSettings
from kyara_clusterer.stage import OPERATIONS
from kyara_stage import Outputs, StageError
from kyara_stage.testing import run_operation
from services.clusterer.tests.clusterer_cast import cast, crops_of, vectors_file
from tests.servers.inference import inference_server
from tests.servers.models import write_models

PARAMS = ClusterParams(model="ccip-caformer-24-randaug-pruned", min_cluster_size=5, reattach_share=0.9, merge_share=0.85)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClustererSettings]:
    folder = tmp_path_factory.mktemp("inference")
    with inference_server(folder, write_models(folder / "models")) as server:
        yield ClustererSettings(store="file:///unused", inference=server.address)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/store")


def cluster(
    store: Store,
    settings: ClustererSettings,
    crops: list[Image],
    features: np.ndarray,
    params: ClusterParams = PARAMS,
    names: list[str] | None = None,
) -> tuple[Outputs, list[dict[str, str]]]:
    vectors = store.put(vectors_file(names or [crop.name for crop in crops], features))
    inputs = {"crops": ImageSet(images=tuple(crops)).save(store), "vectors": ref("vectors", vectors, "")}
    return run_operation(OPERATIONS[0], params, inputs, store, settings)


def test_a_cast_becomes_characters_by_size_noise_and_a_summary(store: Store, settings: ClustererSettings) -> None:
    features, truth = cast(41)
    crops = crops_of(store, truth.tolist())
    outputs, rejected = cluster(store, settings, crops, features)
    names = sorted(name for name in outputs if name.startswith("character_"))
    characters = [ImageSet.load(store, outputs[name]) for name in names]
    sizes = [len(character) for character in characters]
    assert names == [f"character_{n:03}" for n in range(len(names))]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) >= 4
    for number, character in enumerate(characters):
        assert {image.index for image in character} == {number}
    clusters = ImageSet.load(store, outputs["clusters"])
    noise = ImageSet.load(store, outputs["noise"])
    assert [image.name for image in clusters] == [image.name for each in (*characters, noise) for image in each]
    assert len(clusters) == len(crops)
    assert {image.index for image in noise} == {-1}
    summary = get_json(store, outputs["summary"])
    assert summary["sizes"] == sizes
    assert summary["crops"] == len(crops)
    assert summary["noise"] == len(noise)
    assert summary["chosen"] == summary["tried"][0]
    assert summary["threshold"] == pytest.approx(0.178475, abs=1e-4)
    sheet = PIL.Image.open(io.BytesIO(store.get(outputs["sheet"].digest)))
    assert sheet.height == 6 + len(sizes) * (128 + 16 + 6)
    assert not rejected
    assert cluster(store, settings, crops, features)[0] == outputs


def test_a_crop_without_vector_is_set_aside(store: Store, settings: ClustererSettings) -> None:
    features, truth = cast(41, main=2, extras=0)
    crops = crops_of(store, truth.tolist())
    outputs, rejected = cluster(store, settings, crops, features[1:], names=[crop.name for crop in crops[1:]])
    assert len(ImageSet.load(store, outputs["clusters"])) == len(crops) - 1
    assert rejected == [{"item": crops[0].name, "reason": "it has no vector: the embedder set it aside"}]


def test_too_few_crops_end_it_with_the_numbers(store: Store, settings: ClustererSettings) -> None:
    features, truth = cast(41)
    with pytest.raises(StageError, match="there are 3 crops of persons, and a character needs at least 5") as raised:
        cluster(store, settings, crops_of(store, truth.tolist())[:3], features[:3])
    assert raised.value.code.name == "FAILED_PRECONDITION"


def test_crops_that_nobody_shares_end_it(store: Store, settings: ClustererSettings) -> None:
    strangers = np.eye(12, 768, dtype=np.float32)
    with pytest.raises(StageError, match="no characters were found among 12 crops") as raised:
        cluster(store, settings, crops_of(store, list(range(12))), strangers)
    assert raised.value.code.name == "FAILED_PRECONDITION"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"min_cluster_size": 1}, "min_cluster_size is 1"),
        ({"merge_share": 1.5}, "merge_share is 1.5"),
        ({"reattach_share": 0.0}, "reattach_share is 0.0"),
        ({"model": "nobody"}, "no model 'nobody' in the catalogue"),
    ],
)
def test_wrong_params_are_said_to_be_wrong(
    store: Store, settings: ClustererSettings, changed: dict[str, object], message: str
) -> None:
    params = ClusterParams()
    params.CopyFrom(PARAMS)
    for name, value in changed.items():
        setattr(params, name, value)
    features, truth = cast(41, main=1, extras=0)
    with pytest.raises(StageError, match=message) as raised:
        cluster(store, settings, crops_of(store, truth.tolist()), features, params)
    assert raised.value.code.name == "INVALID_ARGUMENT"
