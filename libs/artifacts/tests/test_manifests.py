"""Manifests come back as they were saved, in one form only, and nothing else is taken for one."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Box, File, FileSet, Image, ImageSet, Store, canonical_json, get_json, open_store, put_json, ref

SHA256 = "ab" * 32
PLAIN: dict[str, Any] = {"name": "a.png", "sha256": SHA256, "size": 3, "width": 4, "height": 5}
FULL = Image(
    **{**PLAIN, "name": "e00/000123456ms.png"},
    media_type="image/jpeg",
    source="e00",
    time_s=123.456,
    shot=0,
    sharpness=0.1 + 0.2,
    boxes=(Box(kind="face", x0=0.5, y0=1, x1=2.25, y1=3, score=0.875),),
    crop="head",
    parent="e00/whole.png",
    parent_box=(0.0, 1.0, 2.0, 3.5),
    index=-1,
    tags={"blue_eyes": 0.9, "1girl": 1.0},
    caption="ひかり, blue eyes \u2028 and a line\nbreak",
    step=0,
    prompt="",
    seed=0,
    scores={"ccip": 0.5},
    note="said",
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}")


def lines_of(store: Store, saved: ArtifactRef) -> list[bytes]:
    return store.get(saved.digest).split(b"\n")


def manifest(store: Store, kind: str, *lines: object) -> ArtifactRef:
    """What some other writer might have written."""
    return ref(kind, store.put(b"\n".join(canonical_json(line) for line in lines)), "application/jsonl")


def test_an_image_set_comes_back_whole(store: Store) -> None:
    saved = ImageSet(images=(FULL, Image(**PLAIN)), meta={"video": SHA256, "shots": 3}).save(store)
    assert (saved.kind, saved.media_type) == ("image-set", "application/jsonl")
    loaded = ImageSet.load(store, saved)
    assert list(loaded) == [FULL, Image(**PLAIN)]
    assert loaded.meta == {"video": SHA256, "shots": 3}
    assert len(loaded) == 2
    assert loaded.save(store) == saved


def test_a_file_set_comes_back_whole(store: Store) -> None:
    files = (
        File(name="a.safetensors", sha256=SHA256, size=7, media_type="x/y", meta={"step": 20}),
        File(name="b", sha256=SHA256, size=0),
    )
    saved = FileSet(files=files, meta={"trigger": "hikari"}).save(store)
    assert saved.kind == "file-set"
    loaded = FileSet.load(store, saved)
    assert tuple(loaded) == files
    assert loaded.meta == {"trigger": "hikari"}
    assert loaded.files[0].digest.size_bytes == 7


def test_empty_sets_come_back_empty(store: Store) -> None:
    assert len(ImageSet.load(store, ImageSet(images=()).save(store))) == 0
    assert len(FileSet.load(store, FileSet(files=()).save(store))) == 0


def test_zero_and_empty_text_are_not_taken_for_nothing(store: Store) -> None:
    """`step` 0 is the base model, and `shot` 0 the first shot: neither is a default that may be left out."""
    loaded = next(iter(ImageSet.load(store, ImageSet(images=(FULL,)).save(store))))
    assert (loaded.step, loaded.seed, loaded.shot, loaded.prompt) == (0, 0, 0, "")


def test_a_manifest_is_one_line_of_what_it_is_and_one_for_each_entry(store: Store) -> None:
    head, entry, end = lines_of(store, ImageSet(images=(Image(**PLAIN),)).save(store))
    assert head == b'{"kind":"image-set","meta":{}}'
    assert entry == b'{"height":5,"name":"a.png","sha256":"%s","size":3,"width":4}' % SHA256.encode()
    assert end == b""


def test_the_order_in_which_things_were_said_is_not_in_the_bytes(store: Store) -> None:
    one = ImageSet(images=(Image(**PLAIN, tags={"a": 1, "b": 2}),), meta={"x": 1, "y": 2}).save(store)
    other = ImageSet(images=(Image(**PLAIN, tags={"b": 2, "a": 1}),), meta={"y": 2, "x": 1}).save(store)
    assert one == other


def test_a_manifest_of_another_kind_is_refused_by_its_reference_and_by_its_first_line(store: Store) -> None:
    saved = FileSet(files=()).save(store)
    with pytest.raises(ValueError, match="'image-set' is needed"):
        ImageSet.load(store, saved)
    with pytest.raises(ValueError, match="holds a 'file-set'"):
        ImageSet.load(store, ref("image-set", saved.digest, saved.media_type))


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n", b"[]\n", b'{"no":"kind"}\n', b'{"kind":"image-set"}\n', b"\xff\xfe"])
def test_what_is_no_manifest_is_a_value_error(store: Store, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        ImageSet.load(store, ref("image-set", store.put(data), "application/jsonl"))


@pytest.mark.parametrize("change", [{"tag": {}}, {"boxes": [{"kind": "face"}]}, {"size": "many"}, {"parent_box": [1, 2, 3]}])
def test_an_entry_with_a_misspelt_key_or_a_wrong_value_is_refused(store: Store, change: dict[str, Any]) -> None:
    wrong = manifest(store, "image-set", {"kind": "image-set", "meta": {}}, {**PLAIN, **change})
    with pytest.raises(ValidationError, match=next(iter(change))):
        ImageSet.load(store, wrong)


def test_entries_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError):
        FULL.name = "other"  # type: ignore[misc]


def test_json_is_kept_in_one_form(store: Store) -> None:
    value = {"b": [1, 2.5, None, True], "a": "ひかり"}
    kept = put_json(store, "summary", value)
    assert (kept.kind, kept.media_type) == ("summary", "application/json")
    assert store.get(kept.digest).decode() == '{"a":"ひかり","b":[1,2.5,null,true]}'
    assert get_json(store, kept) == value
    assert kept == put_json(store, "summary", dict(reversed(value.items())))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_cannot_hold_are_refused(store: Store, value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        put_json(store, "summary", {"score": value})
    with pytest.raises(ValueError, match="JSON compliant"):
        ImageSet(images=(Image(**PLAIN, sharpness=value),)).save(store)


def test_floats_come_back_as_the_same_numbers() -> None:
    numbers = [0.1 + 0.2, 1e-300, -0.0, 123456789.123456789]
    assert json.loads(canonical_json(numbers)) == numbers
