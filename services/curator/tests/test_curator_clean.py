"""What `curator.clean` promises."""

from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageOps
import pytest

from kyara.curator.v1.curator_pb2 import CleanParams
from kyara_artifacts import Box, Image, ImageSet, Store, open_store, read_picture
from kyara_curator.settings import CuratorSettings
from kyara_curator.stage import OPERATIONS
from kyara_stage import Outputs, StageError
from kyara_stage.testing import run_operation
from services.curator.tests.curator_pictures import HEIGHT, WIDTH, backdrop, draw_doll, jpeg, keep

CLEAN = OPERATIONS[0]
PARAMS = CleanParams(min_side=48, near_duplicate=0.06, drop_monochrome=True, exactly_one_face=True)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/store")


def clean(store: Store, *sets: list[Image], params: CleanParams = PARAMS) -> tuple[Outputs, list[dict[str, str]]]:
    inputs = {f"frames_{n:03}": ImageSet(images=tuple(images)).save(store) for n, images in enumerate(sets)}
    settings = CuratorSettings(store="file:///unused", inference="127.0.0.1:9")
    return run_operation(CLEAN, params, inputs, store, settings)


def frame(store: Store, seed: int, name: str = "", doll: dict[str, Any] | None = None, **known: object) -> Image:
    picture = backdrop(seed)
    boxes = draw_doll(picture, 200, 100, **(doll or {}))
    return keep(store, picture, name or f"{seed:04}.png", boxes, **known)


def test_a_crop_is_the_frame_s_own_pixels_and_knows_where_it_comes_from(store: Store) -> None:
    original = frame(store, 1, "abc/000001500ms.png", source="episode", time_s=1.5, shot=3, sharpness=7.0)
    outputs, rejected = clean(store, [original])
    (crop,) = ImageSet.load(store, outputs["crops"])
    assert (crop.crop, crop.parent, crop.source, crop.time_s, crop.shot) == ("person", original.name, "episode", 1.5, 3)
    assert crop.name == "abc/000001500ms_p0.png"
    assert crop.parent_box == (198, 96, 302, 304)
    assert (crop.width, crop.height) == (104, 208)
    whole = read_picture(store.get(original.digest))
    assert read_picture(store.get(crop.digest)).tobytes() == whole.crop((198, 96, 302, 304)).tobytes()
    face = next(box for box in crop.boxes if box.kind == "face")
    assert (face.x0, face.y0, face.x1, face.y1) == (30, 24, 74, 74)
    assert not rejected


def test_exactly_one_face_and_head_lie_in_a_crop(store: Store) -> None:
    frames = [frame(store, 1), frame(store, 2, doll={"faces": 2}), frame(store, 3, doll={"faces": 0})]
    outputs, rejected = clean(store, frames)
    assert [crop.parent for crop in ImageSet.load(store, outputs["crops"])] == ["0001.png"]
    assert [(each["item"], each["reason"]) for each in rejected] == [
        ("0002_p0.png", "2 faces in it, exactly one is wanted"),
        ("0003_p0.png", "no face in it, exactly one is wanted"),
    ]


def test_a_neighbour_s_head_in_the_box_drops_the_crop_and_one_beside_it_does_not(store: Store) -> None:
    picture = backdrop(5)
    boxes = draw_doll(picture, 100, 100) + draw_doll(picture, 160, 110) + draw_doll(picture, 400, 100, arm=30)
    outputs, rejected = clean(store, [keep(store, picture, "crowd.png", boxes)])
    wide = Box(kind="person", x0=100, y0=100, x1=260, y1=310, score=0.8)
    both, _ = clean(store, [keep(store, picture, "crowd.png", (*boxes, wide))])
    assert len(ImageSet.load(store, outputs["crops"])) == 3
    assert not rejected
    assert len(ImageSet.load(store, both["crops"])) == 3


def test_any_number_of_faces_is_taken_when_the_recipe_says_so(store: Store) -> None:
    anything = CleanParams(min_side=48, near_duplicate=0.06, drop_monochrome=True)
    outputs, _ = clean(store, [frame(store, 2, doll={"faces": 2})], params=anything)
    assert len(ImageSet.load(store, outputs["crops"])) == 1


def test_small_crops_are_set_aside(store: Store) -> None:
    params = CleanParams(min_side=105, exactly_one_face=True)
    with pytest.raises(StageError, match=r"1 frames .*large enough 0"):
        clean(store, [frame(store, 1)], params=params)


def test_of_near_duplicates_the_sharpest_stays(store: Store) -> None:
    first = frame(store, 1, "a.png", sharpness=3.0)
    again = jpeg(read_picture(store.get(first.digest)))
    second = keep(store, again, "b.png", first.boxes, sharpness=5.0)
    outputs, rejected = clean(store, [first], [second])
    assert [crop.parent for crop in ImageSet.load(store, outputs["crops"])] == ["b.png"]
    assert rejected == [{"item": "a_p0.png", "reason": "nearly the same as b_p0.png"}]


def test_two_characters_in_the_same_pose_are_no_duplicates(store: Store) -> None:
    red = frame(store, 1, "a.png", doll={"hair": (200, 60, 90)})
    blue = frame(store, 1, "b.png", doll={"hair": (60, 90, 200)})
    outputs, _ = clean(store, [red, blue])
    assert len(ImageSet.load(store, outputs["crops"])) == 2


def test_pictures_without_colour_are_set_aside(store: Store) -> None:
    coloured = frame(store, 1)
    grey = PIL.ImageOps.grayscale(read_picture(store.get(coloured.digest))).convert("RGB")
    outputs, rejected = clean(store, [coloured, keep(store, grey, "grey.png", coloured.boxes)])
    assert len(ImageSet.load(store, outputs["crops"])) == 1
    assert rejected == [{"item": "grey_p0.png", "reason": "black and white"}]


def test_a_frame_that_cannot_be_read_ends_nothing(store: Store) -> None:
    good = frame(store, 1)
    digest = store.put(b"no picture")
    bad = good.model_copy(update={"name": "bad.png", "sha256": digest.sha256, "size": digest.size_bytes})
    outputs, rejected = clean(store, [bad, good])
    assert len(ImageSet.load(store, outputs["crops"])) == 1
    assert rejected[0]["item"] == "bad.png"
    assert "cannot be decoded" in rejected[0]["reason"]


def test_names_are_safe_and_unique_whatever_the_frames_are_called(store: Store) -> None:
    hostile = ["../../etc/pass wd.png", "/abs.png", "同じ.png", "同じ.jpg", "", "A.png", "a.png"]
    frames = [frame(store, n, name or ".png", doll={"arm": 15 * n}) for n, name in enumerate(hostile)]
    names = [crop.name for crop in ImageSet.load(store, clean(store, frames)[0]["crops"])]
    assert len({name.lower() for name in names}) == len(hostile)
    for name in names:
        assert name.isascii()
        assert not name.startswith(("/", "."))
        assert ".." not in name


def test_without_any_person_the_message_says_so(store: Store) -> None:
    empty = [keep(store, backdrop(n), f"{n}.png") for n in range(3)]
    with pytest.raises(StageError, match=r"no crops are left of 3 frames .* no person was found in any") as raised:
        clean(store, empty)
    assert raised.value.code.name == "FAILED_PRECONDITION"


def test_counts_of_every_step_are_in_the_manifest_and_the_same_input_gives_the_same_bytes(store: Store) -> None:
    frames = [frame(store, n, doll={"arm": 15 * n}) for n in range(4)] + [keep(store, backdrop(9), "9.png")]
    outputs, _ = clean(store, frames)
    assert [(each["step"], each["left"]) for each in ImageSet.load(store, outputs["crops"]).meta["steps"]] == [
        ("frames", 5), ("persons", 4), ("with exactly one face and head", 4), ("large enough", 4), ("in colour", 4),
        ("without near-duplicates", 4),
    ]  # fmt: skip
    assert clean(store, frames)[0] == outputs


def test_a_box_at_the_border_is_clipped(store: Store) -> None:
    picture = backdrop(1)
    boxes = draw_doll(picture, WIDTH - 80, HEIGHT - 150)
    outputs, _ = clean(store, [keep(store, picture, "edge.png", boxes)])
    (crop,) = ImageSet.load(store, outputs["crops"])
    assert crop.parent_box is not None
    assert crop.parent_box[2:] == (WIDTH, HEIGHT)
    assert all(box.x1 <= crop.width and box.y1 <= crop.height for box in crop.boxes)
