"""Datasets as they come: one picture, thousands, all of one shape, without captions, with captions of bytes that are no text."""

import time
from pathlib import Path

import numpy as np
import pytest

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import Image, ImageSet, Store, StoreFull, put_picture, ref
from kyara_stage import StageError
from kyara_stage.errors import status_of
from kyara_trainer.validation import held_back
from services.trainer.tests.trainer_runs import files_of, log_of, run


def pictures(store: Store, count: int, sizes: list[tuple[int, int]], caption: str | None = "kyara, hat") -> ImageSet:
    rng = np.random.default_rng(3)
    images = []
    for number in range(count):
        width, height = sizes[number % len(sizes)]
        digest, *_ = put_picture(store, rng.integers(0, 255, (height, width, 3)).astype(np.uint8))
        facts = {"sha256": digest.sha256, "size": digest.size_bytes, "width": width, "height": height}
        images.append(Image(name=f"{number:04}.png", **facts, caption=caption))
    return ImageSet(images=tuple(images))


def test_one_picture_trains_and_none_of_it_is_held_back(tmp_path: Path, models: Path, store: Store, params: TrainParams) -> None:
    params.validation_share = 0.5
    log = log_of(store, run(tmp_path, models, params, pictures(store, 1, [(64, 64)]).save(store)))
    assert (log["images"], log["held_back"], len(log["loss"])) == (1, 0, 8)
    assert "validation" not in log


def test_five_thousand_pictures_of_any_shape_train_within_a_minute(
    tmp_path: Path, models: Path, store: Store, params: TrainParams
) -> None:
    params.resolution, params.buckets, params.validation_share = 16, 5, 0.01
    sizes = [(width, height) for width in range(12, 32) for height in range(12, 32)]
    dataset = pictures(store, 5_000, sizes).save(store)
    began = time.monotonic()
    log = log_of(store, run(tmp_path, models, params, dataset))
    assert time.monotonic() - began < 60
    assert log["images"] == sum(bucket["images"] for bucket in log["buckets"]) == 4_950
    assert log["held_back"] == 50


def test_pictures_of_one_shape_are_one_bucket(tmp_path: Path, models: Path, store: Store, params: TrainParams) -> None:
    params.buckets = 5
    log = log_of(store, run(tmp_path, models, params, pictures(store, 5, [(48, 96)]).save(store)))
    assert log["buckets"] == [{"width": 48, "height": 88, "images": 5}]


@pytest.mark.parametrize("trigger", ["kyara", ""])
def test_pictures_without_captions_train_on_the_trigger_alone(
    tmp_path: Path, models: Path, store: Store, params: TrainParams, trigger: str
) -> None:
    params.trigger = trigger
    result = run(tmp_path, models, params, pictures(store, 3, [(64, 64)], None).save(store))
    assert len(files_of(store, result)) == 2


@pytest.mark.parametrize(
    "caption", ["kyara, \ufffd\ufffd hat", "kyara, \x00\x1b[31m", "kyara, 帽子, шляпа, 🎩", "kyara, " + "x" * 50_000]
)
def test_a_caption_of_any_text_trains(tmp_path: Path, models: Path, store: Store, params: TrainParams, caption: str) -> None:
    result = run(tmp_path, models, params, pictures(store, 2, [(64, 64)], caption).save(store))
    assert len(files_of(store, result)) == 2


def test_a_manifest_with_a_caption_that_is_no_text_is_refused(
    tmp_path: Path, models: Path, store: Store, params: TrainParams
) -> None:
    manifest = pictures(store, 1, [(64, 64)]).save(store)
    data = store.get(manifest.digest).replace(b"kyara, hat", b"kyara, \xff\xfe")
    dataset = ref(manifest.kind, store.put(data), manifest.media_type)
    with pytest.raises(ValueError, match=r"(?i)utf-8|unicode"):
        run(tmp_path, models, params, dataset)


def test_a_full_disk_ends_the_run_and_says_so(
    tmp_path: Path, models: Path, dataset: ArtifactRef, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreFull("the store has no room left")

    monkeypatch.setattr("kyara_trainer.run._Run._save", full)
    with pytest.raises(StoreFull) as caught:
        run(tmp_path, models, params, dataset)
    assert status_of(caught.value).code == 8, "RESOURCE_EXHAUSTED"


def test_crops_of_one_picture_are_held_back_together_and_the_same_in_every_run() -> None:
    facts = {"sha256": "0" * 64, "size": 1, "width": 1, "height": 1}
    images = [Image(name=f"{n}-{kind}", **facts, parent=f"{n}.png") for n in range(20) for kind in ("person", "halfbody", "head")]
    held = held_back(images, 0.2)
    assert len(held) == 12
    assert len({images[number].parent for number in held}) == 4
    backwards = {images[::-1][number].name for number in held_back(images[::-1], 0.2)}
    assert backwards == {images[number].name for number in held}
    assert held_back(images, 0) == set()
    assert len(held_back(images, 0.99)) < len(images)


def test_a_run_without_a_picture_that_can_be_read_is_refused(
    tmp_path: Path, models: Path, store: Store, params: TrainParams
) -> None:
    digest = store.put(b"no picture")
    bad = Image(name="bad.png", sha256=digest.sha256, size=digest.size_bytes, width=64, height=64)
    with pytest.raises(StageError, match=r"none of the 2 pictures.*begins like no picture"):
        run(tmp_path, models, params, ImageSet(images=(bad, bad.model_copy(update={"name": "worse.png"}))).save(store))
