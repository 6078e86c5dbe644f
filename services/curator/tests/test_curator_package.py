"""What `curator.package` promises, with a real inference server and a tiny tagger behind it."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
import pytest

from kyara.curator.v1.curator_pb2 import PackageParams
from kyara_artifacts import Box, FileSet, Image, ImageSet, Store, open_store, read_picture
from kyara_curator.geometry import head_square
from kyara_curator.packages import Form
from kyara_curator.settings import CuratorSettings
from kyara_curator.stage import OPERATIONS
from kyara_stage import Outputs, StageError
from kyara_stage.testing import run_operation
from services.curator.tests.curator_pictures import backdrop, draw_doll, keep
from tests.servers.inference import inference_server
from tests.servers.models import write_models

PACKAGE = OPERATIONS[1]
ALL_FORMS = ["raw", "raw-stage3", "384x512", "stage3-80", "stage3-p120-640"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CuratorSettings]:
    folder = tmp_path_factory.mktemp("inference")
    models = write_models(folder / "models")
    with inference_server(folder, models) as server:
        yield CuratorSettings(store="file:///unused", inference=server.address, models=models)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/store")


def params(**changed: object) -> PackageParams:
    wanted = PackageParams(
        trigger="rin",
        crop_kinds=["halfbody", "head"],
        min_crop_side=40,
        near_duplicate=0.02,
        tagger_model="wd-swinv2-tagger-v3",
        detector_model="person_detect_v1.1_m",
        tag_threshold=0.5,
        core_tag_share=0.45,
        core_trait_share=0.35,
        packages=ALL_FORMS,
        seed=1,
    )
    for name, value in changed.items():
        if isinstance(value, list):
            wanted.ClearField(name)  # type: ignore[arg-type]
            getattr(wanted, name).extend(value)
        else:
            setattr(wanted, name, value)
    return wanted


def crops_of(store: Store, count: int) -> list[Image]:
    """Person crops, each of another pose on another backdrop, as `curator.clean` gives them."""
    crops = []
    for n in range(count):
        picture = backdrop(n).crop((0, 0, 120, 220))
        boxes = draw_doll(picture, 10, 10, arm=10 * n)
        others = tuple(box for box in boxes if box.kind != "person")
        crops.append(keep(store, picture, f"ep/{n:03}_p0.png", others, crop="person", parent=f"ep/{n:03}.png", time_s=float(n)))
    return crops


def package(
    store: Store, settings: CuratorSettings, crops: list[Image], wanted: PackageParams
) -> tuple[Outputs, list[dict[str, str]]]:
    return run_operation(PACKAGE, wanted, {"crops": ImageSet(images=tuple(crops)).save(store)}, store, settings)


def archives(store: Store, outputs: Outputs) -> dict[str, zipfile.ZipFile]:
    files = FileSet.load(store, outputs["packages"]).files
    return {file.name: zipfile.ZipFile(io.BytesIO(store.get(file.digest))) for file in files if file.name.endswith(".zip")}


def test_each_picture_gives_person_half_body_and_head(store: Store, settings: CuratorSettings) -> None:
    outputs, rejected = package(store, settings, crops_of(store, 4), params())
    dataset = ImageSet.load(store, outputs["dataset"])
    assert [image.name for image in dataset][:3] == ["ep/000_p0.png", "ep/000_p0_halfbody.png", "ep/000_p0_head.png"]
    person, half, head = dataset.images[:3]
    assert (person.width, person.height) == (120, 220)
    assert (half.width, half.height) == (104, 114)
    assert (head.width, head.height) == (108, 100)
    assert head.parent == "ep/000_p0.png"
    assert {image.crop: sum(other.crop == image.crop for other in dataset) for image in dataset} == {
        "person": 4, "halfbody": 4, "head": 4,
    }  # fmt: skip
    assert dataset.meta["counts"] == {"given": 4, "pictures": 4, "images": 12, "halfbody": 4, "head": 4, "person": 4}
    assert dataset.meta["scale"] == "tiny"
    assert not rejected


def test_a_head_s_square_is_half_as_large_again_and_stays_in_the_picture() -> None:
    head = Box(kind="head", x0=100, y0=80, x1=140, y1=100, score=1)
    assert head_square(head, 400, 300) == (90, 60, 150, 120)
    assert head_square(head, 400, 100) == (90, 60, 150, 100)


def test_captions_hold_the_trigger_and_tags_by_score(store: Store, settings: CuratorSettings) -> None:
    outputs, _ = package(store, settings, crops_of(store, 3), params())
    dataset = ImageSet.load(store, outputs["dataset"])
    for image in dataset:
        assert image.caption
        ordered = sorted(image.tags, key=lambda tag: (-image.tags[tag], tag))
        assert image.caption == ", ".join(["rin", *(tag.replace("_", " ") for tag in ordered)])
    assert dataset.meta["trigger"] == "rin"
    core = dataset.meta["core_tags"]
    assert core
    pruned, _ = package(store, settings, crops_of(store, 3), params(prune_core_tags=True))
    for image in ImageSet.load(store, pruned["dataset"]):
        assert not set((image.caption or "").split(", ")) & {tag.replace("_", " ") for tag in core}


def test_packages_hold_picture_caption_and_metadata_in_their_sizes(store: Store, settings: CuratorSettings) -> None:
    outputs, _ = package(store, settings, crops_of(store, 3), params())
    found = archives(store, outputs)
    assert set(found) == {f"dataset-{form}.zip" for form in ALL_FORMS}
    raw = found["dataset-raw.zip"]
    assert raw.namelist()[:3] == ["ep_000_p0.png", "ep_000_p0.txt", ".ep_000_p0_meta.json"]
    assert len(raw.namelist()) == 9
    assert raw.read("ep_000_p0.txt").startswith(b"rin, ")
    assert json.loads(raw.read(".ep_001_p0_meta.json"))["time_s"] == 1.0
    assert len(found["dataset-raw-stage3.zip"].namelist()) == 27

    def sizes(form: str) -> set[tuple[int, int]]:
        archive = found[f"dataset-{form}.zip"]
        return {PIL.Image.open(archive.open(name)).size for name in archive.namelist() if name.endswith(".png")}

    assert sizes("384x512") == {(384, 512)}
    assert {min(size) for size in sizes("stage3-80")} == {80}
    assert sizes("stage3-p120-640") == {(120, 220)}
    meta = next(file for file in FileSet.load(store, outputs["packages"]) if file.name == "meta.json")
    assert json.loads(store.get(meta.digest))["packages"]["dataset-raw.zip"]["images"] == 3


def test_a_page_shows_samples_and_counts_each_package(store: Store, settings: CuratorSettings) -> None:
    outputs, _ = package(store, settings, crops_of(store, 4), params())
    files = {file.name: file for file in FileSet.load(store, outputs["packages"])}
    page = store.get(files["README.md"].digest).decode()
    assert "A tiny dataset: 12 images of 4 pictures (4 whole figures, 4 upper bodies, 4 heads)." in page
    assert "| [dataset-raw.zip](dataset-raw.zip) | 4 |" in page
    assert "| [dataset-raw-stage3.zip](dataset-raw-stage3.zip) | 12 |" in page
    shown = [name for name in files if name.startswith("sample_")]
    assert len(shown) == 8
    assert all(f"({name})" in page for name in shown)
    crops = {image.sha256 for image in ImageSet.load(store, outputs["dataset"])}
    assert {files[name].sha256 for name in shown} <= crops


def test_the_same_pictures_give_the_same_bytes(store: Store, settings: CuratorSettings) -> None:
    crops = crops_of(store, 3)
    assert package(store, settings, crops, params())[0] == package(store, settings, crops, params())[0]


def test_repeats_and_small_crops_are_set_aside(store: Store, settings: CuratorSettings) -> None:
    crops = crops_of(store, 2)
    repeat = crops[0].model_copy(update={"name": "again.png"})
    outputs, rejected = package(store, settings, [*crops, repeat], params(min_crop_side=105))
    assert [image.crop for image in ImageSet.load(store, outputs["dataset"])] == ["person", "person"]
    reasons = {each["item"]: each["reason"] for each in rejected}
    assert reasons["again.png"] == "nearly the same as ep/000_p0.png"
    assert reasons["ep/000_p0.png head"] == "shortest side is 100 px, at least 105 are wanted"


def test_too_few_pictures_end_it_with_the_numbers(store: Store, settings: CuratorSettings) -> None:
    with pytest.raises(StageError, match=r"rin: 3 of 3 pictures can be used, at least 10 are wanted") as raised:
        package(store, settings, crops_of(store, 3), params(min_images=10))
    assert raised.value.code.name == "FAILED_PRECONDITION"


def test_the_seed_draws_which_pictures_are_taken(store: Store, settings: CuratorSettings) -> None:
    crops = crops_of(store, 8)

    def drawn(seed: int) -> set[str]:
        outputs, rejected = package(store, settings, crops, params(max_images=3, seed=seed, packages=["raw"]))
        taken = {image.parent for image in ImageSet.load(store, outputs["dataset"])}
        assert len(taken) == 3
        assert sum("not drawn" in each["reason"] for each in rejected) == 5
        return taken

    assert drawn(1) == drawn(1)
    assert any(drawn(1) != drawn(seed) for seed in (2, 3))


def test_pictures_without_boxes_are_looked_at_by_the_detector(store: Store, settings: CuratorSettings) -> None:
    picture = backdrop(3)
    outputs, _ = package(store, settings, [keep(store, picture, "loose.png")], params(crop_kinds=[], min_crop_side=1))
    (person,) = ImageSet.load(store, outputs["dataset"])
    x0, y0, x1, y1 = (int(value) for value in person.parent_box or ())
    assert (x1 - x0, y1 - y0) != picture.size
    assert read_picture(store.get(person.digest)).tobytes() == picture.crop((x0, y0, x1, y1)).tobytes()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"packages": ["stage4"]}, "no package is called 'stage4'"),
        ({"crop_kinds": ["foot"]}, "crop_kinds has 'foot'"),
        ({"trigger": ""}, "trigger is empty"),
        ({"tagger_model": "nobody"}, "no model 'nobody' in the catalogue"),
    ],
)
def test_wrong_params_are_said_to_be_wrong(
    store: Store, settings: CuratorSettings, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(StageError, match=message) as raised:
        package(store, settings, crops_of(store, 1), params(**changed))
    assert raised.value.code.name == "INVALID_ARGUMENT"


def test_without_the_inference_server_another_attempt_may_help(store: Store, settings: CuratorSettings) -> None:
    away = settings.model_copy(update={"inference": "127.0.0.1:9"})
    with pytest.raises(StageError) as raised:
        package(store, away, crops_of(store, 1), params())
    assert raised.value.code.name == "UNAVAILABLE"


def test_forms_are_named_as_in_the_recipes() -> None:
    assert Form.parse("stage3-p480-800") == Form("stage3-p480-800", False, longest_short_side=800, least_root_area=480)
    assert Form.parse("512x704").aligned == (512, 704)
    assert Form.parse("raw").persons_only
