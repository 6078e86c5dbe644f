"""What the stage `detector` promises, with a real inference server behind it."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import PIL.Image
import pytest

from kyara.detector.v1.detector_pb2 import DetectParams, Threshold
from kyara_artifacts import Image, ImageSet, Store, open_store, png_bytes, put_picture
from kyara_detector.closer import look_closer
from kyara_detector.settings import DetectorSettings
from kyara_detector.stage import OPERATIONS
from kyara_inference import Inference, KindThreshold, detect
from kyara_stage import StageError
from kyara_stage.testing import run_operation
from tests.servers.inference import inference_server
from tests.servers.models import write_models
from tests.servers.processes import free_port

FACE = Threshold(kind="face", model="face_detect_v1.4_s", confidence=0.5, iou=0.5)
PERSON = Threshold(kind="person", model="person_detect_v1.1_m", confidence=0.5, iou=0.5)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("inference")
    with inference_server(folder, write_models(folder / "models")) as server:
        yield server.address


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/store")


def settings(address: str, tmp_path: Path) -> DetectorSettings:
    return DetectorSettings(store=f"file://{tmp_path}/store", inference=address)


def keep(store: Store, name: str, data: bytes) -> Image:
    digest = store.put(data)
    return Image(name=name, sha256=digest.sha256, size=digest.size_bytes, width=320, height=180, time_s=1.5)


def picture(seed: int) -> PIL.Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    return PIL.Image.fromarray(small).resize((320, 180))


def test_every_image_gets_the_boxes_of_each_kind_in_the_order_asked(address: str, store: Store, tmp_path: Path) -> None:
    pictures = [picture(seed) for seed in range(18)]
    images = tuple(keep(store, f"{n}.png", png_bytes(one)) for n, one in enumerate(pictures))
    inputs = {"images": ImageSet(images=images, meta={"video": "v"}).save(store)}
    params = DetectParams(kinds=[PERSON, FACE])
    outputs, rejected = run_operation(OPERATIONS[0], params, inputs, store, settings(address, tmp_path))
    assert not rejected
    found = ImageSet.load(store, outputs["images"])
    assert found.meta == {"video": "v"}
    person, face = KindThreshold("person", 0.5, 0.5), KindThreshold("face", 0.5, 0.5)
    with Inference(address) as inference:
        persons = detect(inference, PERSON.model, pictures, [person])
        faces = detect(inference, FACE.model, pictures, [face])
        at_first = [[*some, *others] for some, others in zip(persons, faces, strict=True)]
        wanted = look_closer(inference, {PERSON.model: [person], FACE.model: [face]}, pictures, at_first)
    for image, before, boxes in zip(found, images, wanted, strict=True):
        assert image.boxes == tuple(boxes)
        assert image.boxes
        assert image.model_copy(update={"boxes": ()}) == before


def test_an_unreadable_picture_is_set_aside_with_the_reason(address: str, store: Store, tmp_path: Path) -> None:
    good = png_bytes(picture(0))
    images = (
        keep(store, "good.png", good),
        keep(store, "text.png", b"this is no picture"),
        keep(store, "half.png", good[: len(good) // 2]),
        keep(store, "also good.png", png_bytes(picture(1))),
    )
    inputs = {"images": ImageSet(images=images).save(store)}
    outputs, rejected = run_operation(OPERATIONS[0], DetectParams(kinds=[FACE]), inputs, store, settings(address, tmp_path))
    assert [image.name for image in ImageSet.load(store, outputs["images"])] == ["good.png", "also good.png"]
    assert [item["item"] for item in rejected] == ["text.png", "half.png"]
    assert all("cannot be decoded" in item["reason"] for item in rejected)


def test_a_set_of_nothing_gives_a_set_of_nothing(address: str, store: Store, tmp_path: Path) -> None:
    inputs = {"images": ImageSet(images=()).save(store)}
    outputs, _ = run_operation(OPERATIONS[0], DetectParams(kinds=[FACE]), inputs, store, settings(address, tmp_path))
    assert len(ImageSet.load(store, outputs["images"])) == 0


@pytest.mark.parametrize(
    ("kinds", "code", "complaint"),
    [
        ([], "INVALID_ARGUMENT", "no kind of box"),
        ([Threshold(kind="face", model="yolo")], "INVALID_ARGUMENT", "no model 'yolo' in the catalogue"),
        ([Threshold(kind="face", model="miniature-ccip")], "INVALID_ARGUMENT", "is a ccip model"),
        ([Threshold(kind="head", model="face_detect_v1.4_s")], "INVALID_ARGUMENT", "knows face, not 'head'"),
        ([Threshold(kind="face", model="face_detect_v1.4_s", iou=1.5)], "INVALID_ARGUMENT", "between 0 and 1"),
        ([Threshold(kind="head", model="head_detect_v2.0_s")], "FAILED_PRECONDITION", "kyara models pull head_detect"),
    ],
)
def test_wrong_params_end_the_stage_with_what_to_do(
    address: str, store: Store, tmp_path: Path, kinds: list[Threshold], code: str, complaint: str
) -> None:
    digest, width, height = put_picture(store, picture(0))
    image = Image(name="a", sha256=digest.sha256, size=digest.size_bytes, width=width, height=height)
    inputs = {"images": ImageSet(images=(image,)).save(store)}
    with pytest.raises(StageError, match=complaint) as caught:
        run_operation(OPERATIONS[0], DetectParams(kinds=kinds), inputs, store, settings(address, tmp_path))
    assert caught.value.code.name == code


def test_an_inference_server_that_is_away_may_be_tried_again(store: Store, tmp_path: Path) -> None:
    inputs = {"images": ImageSet(images=(keep(store, "a", png_bytes(picture(0))),)).save(store)}
    away = settings(f"127.0.0.1:{free_port()}", tmp_path)
    with pytest.raises(StageError) as caught:
        run_operation(OPERATIONS[0], DetectParams(kinds=[FACE]), inputs, store, away)
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
