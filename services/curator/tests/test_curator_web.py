"""What `curator.web` promises: each step sets aside what it names, the report counts it, and a sheet shows it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from kyara.curator.v1.curator_pb2 import WebParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Image, ImageSet, Store, get_json, open_store, put_picture, read_picture
from kyara_curator.settings import CuratorSettings
from kyara_curator.stage import OPERATIONS
from kyara_miniature.cast import Character, make_character
from kyara_miniature.figure import FRAMINGS, random_view
from kyara_miniature.scene import Picture, draw_portrait
from kyara_stage import Outputs, StageError
from kyara_stage.testing import run_operation
from tests.servers.inference import inference_server
from tests.servers.models import write_classifier

WEB = OPERATIONS[2]
SOMEBODY, ANOTHER = make_character(900_001), make_character(900_002)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CuratorSettings]:
    folder = tmp_path_factory.mktemp("inference")
    write_classifier(folder / "models" / "anime_classification", ["3d", "illustration"])
    with inference_server(folder, folder / "models") as server:
        yield CuratorSettings(store="file:///unused", inference=server.address, models=folder / "models")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/store")


def params(**changed: Any) -> WebParams:
    known = {"drop_monochrome": True, "near_duplicate": 0.06, "ccip_model": "miniature-ccip", "cluster_share": 0.6}
    return WebParams(**{**known, "match_share": 0.5, "min_side": 48, "min_images": 1, **changed})


def drawn(character: Character, number: int) -> Picture:
    rng = np.random.default_rng(number)
    view = random_view(rng, character, FRAMINGS[number % 3])
    return draw_portrait(character, view, width=320, height=400, rng=rng)


def kept(store: Store, name: str, picture: Picture, pixels: PIL.Image.Image | None = None) -> Image:
    """The picture with its true boxes, as the detector would give them."""
    image = pixels or PIL.Image.fromarray(picture.image)
    digest, width, height = put_picture(store, image)
    scale = width / picture.image.shape[1]
    boxes = [
        {"kind": box.kind, "score": 0.9} | {side: getattr(box, side) * scale for side in ("x0", "y0", "x1", "y1")}
        for box in picture.figures[0].boxes
    ]
    entry = {"name": name, "sha256": digest.sha256, "size": digest.size_bytes, "width": width, "height": height}
    return Image.model_validate({**entry, "boxes": boxes})


def somebody(store: Store, count: int) -> list[Image]:
    return [kept(store, f"{n:02}.png", drawn(SOMEBODY, n)) for n in range(count)]


def clean(
    store: Store, settings: CuratorSettings, images: list[Image], wanted: WebParams, **more: ArtifactRef
) -> tuple[Outputs, dict[str, str]]:
    inputs = {"images": ImageSet(images=tuple(images)).save(store), **more}
    outputs, rejected = run_operation(WEB, wanted, inputs, store, settings)
    return outputs, {each["item"]: each["reason"] for each in rejected}


def test_each_step_sets_aside_what_it_is_for_and_shows_it(store: Store, settings: CuratorSettings) -> None:
    whole, grey, small = drawn(SOMEBODY, 40), drawn(SOMEBODY, 41), drawn(SOMEBODY, 42)
    pixels = PIL.Image.fromarray(grey.image)
    two = kept(store, "two.png", drawn(SOMEBODY, 43))
    two = two.model_copy(update={"boxes": (*two.boxes, *(box.model_copy(update={"x0": 0.0, "x1": 9.0}) for box in two.boxes))})
    broken = store.put(b"\x89PNG\r\n\x1a\n no more")
    images = [
        *somebody(store, 16),
        kept(store, "whole.png", whole),
        kept(store, "again.png", whole, PIL.Image.fromarray(whole.image).resize((288, 360))),
        kept(store, "grey.png", grey, PIL.ImageOps.grayscale(pixels).convert("RGB")),
        kept(store, "small.png", small, PIL.Image.fromarray(small.image).resize((32, 40))),
        two,
        kept(store, "other.png", drawn(ANOTHER, 44)),
        kept(store, "nobody.png", drawn(SOMEBODY, 45)).model_copy(update={"boxes": ()}),
        Image(name="broken.png", sha256=broken.sha256, size=broken.size_bytes, width=9, height=9),
    ]
    outputs, why = clean(store, settings, images, params())
    assert why["broken.png"].startswith("cannot be decoded")
    assert why["grey.png"] == "black and white"
    assert why["again.png"] == "nearly the same as whole.png"
    assert why["two.png"] == "2 faces in it, exactly one is wanted"
    assert why["nobody.png"] == "no face in it, exactly one is wanted"
    assert "of the character's pictures, 50% are wanted" in why["other_p0.png"]
    assert "small_p0.png" in why
    crops = ImageSet.load(store, outputs["crops"])
    assert "whole.png" in {crop.parent for crop in crops}
    assert not {crop.parent for crop in crops} & {"broken.png", "grey.png", "again.png", "two.png", "other.png", "small.png"}
    assert read_picture(store.get(crops.images[0].digest)).size == (crops.images[0].width, crops.images[0].height)
    report = get_json(store, outputs["report"])
    assert report[0] == {"step": "decoded", "given": 24, "kept": 23}
    assert report[-1]["kept"] == len(crops)
    assert [row["given"] for row in report[1:]] == [row["kept"] for row in report[:-1]]
    assert report[1] == {"step": "in colour", "given": 23, "kept": 22, "sheet": "sheet_01"}
    assert read_picture(store.get(outputs["sheet_01"].digest)).width > 128


def test_anchors_say_whom_to_keep(store: Store, settings: CuratorSettings) -> None:
    images = somebody(store, 6) + [kept(store, f"a{n}.png", drawn(ANOTHER, n)) for n in range(12)]
    anchors = ImageSet(images=tuple(kept(store, f"k{n}.png", drawn(SOMEBODY, 60 + n)) for n in range(3))).save(store)
    outputs, _ = clean(store, settings, images, params(), anchors=anchors)
    parents = {crop.parent for crop in ImageSet.load(store, outputs["crops"])}
    assert parents
    assert all(not name.startswith("a") for name in parents)


def test_kinds_are_taken_by_a_classifier_of_the_catalogue(store: Store, settings: CuratorSettings) -> None:
    images = somebody(store, 6)
    asked = params(kind_model="anime_classification", kinds=["illustration", "3d"])
    outputs, _ = clean(store, settings, images, asked)
    assert len(ImageSet.load(store, outputs["crops"]))
    with pytest.raises(StageError, match="of a wanted kind 0 of 6"):
        clean(store, settings, images, params(kind_model="anime_classification", kinds=["comic"]))


def test_too_few_pictures_end_it_with_what_each_step_kept(store: Store, settings: CuratorSettings) -> None:
    with pytest.raises(StageError, match=r"of 4 pictures are left, at least 10 are wanted \(decoded 4 of 4, in colour") as raised:
        clean(store, settings, somebody(store, 4), params(min_images=10))
    assert raised.value.code.name == "FAILED_PRECONDITION"


def test_the_same_pictures_give_the_same_bytes(store: Store, settings: CuratorSettings) -> None:
    images = somebody(store, 6)
    assert clean(store, settings, images, params())[0] == clean(store, settings, images, params())[0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"match_share": 1.5}, "match_share is 1.5; it must be in 0..1"),
        ({"ccip_model": "nobody"}, "no model 'nobody' in the catalogue"),
        ({"kind_model": "miniature-ccip"}, "is a ccip model, which does not fit here"),
    ],
)
def test_wrong_params_are_said_to_be_wrong(
    store: Store, settings: CuratorSettings, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(StageError, match=message) as raised:
        clean(store, settings, somebody(store, 2), params(**changed))
    assert raised.value.code.name == "INVALID_ARGUMENT"
