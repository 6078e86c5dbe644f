"""What is trained on: the pictures of one package in its size, and datasets that were made before, as they are."""

import re
from pathlib import Path
from zipfile import ZipFile

import PIL.Image
import pytest

from kyara_artifacts import Image, ImageSet, Store, read_picture
from kyara_curator.packages import Form, write_zip
from kyara_curator.settings import CuratorSettings
from kyara_stage import StageError
from services.curator.tests.curator_pictures import backdrop, keep
from services.curator.tests.test_curator_package import ALL_FORMS, archives, crops_of, package, params, settings, store

__all__ = ["settings", "store"]


@pytest.mark.parametrize("form", ["raw-stage3", "384x512", "stage3-80", "stage3-p120-640"])
def test_the_dataset_holds_the_pictures_of_its_package_in_their_size(store: Store, settings: CuratorSettings, form: str) -> None:
    whole = ImageSet.load(store, package(store, settings, crops_of(store, 4), params())[0]["dataset"])
    outputs, _ = package(store, settings, crops_of(store, 4), params(dataset=form))
    formed = ImageSet.load(store, outputs["dataset"])
    wanted = [image for image in whole if Form.parse(form).takes(image)]
    assert [(image.name, image.caption) for image in formed] == [(image.name, image.caption) for image in wanted]
    for image in formed:
        assert read_picture(store.get(image.digest)).size == (image.width, image.height)
    if form == "384x512":
        assert {(image.width, image.height) for image in formed} == {(384, 512)}
    if form == "stage3-80":
        assert max(min(image.width, image.height) for image in formed) == 80


def test_a_dataset_package_that_is_not_made_is_refused(store: Store, settings: CuratorSettings) -> None:
    with pytest.raises(StageError, match="'stage3-900' is none of packages"):
        package(store, settings, crops_of(store, 2), params(dataset="stage3-900"))


def made_before(store: Store) -> list[Image]:
    captions = ["rin, long hair, blue eyes, sitting", "long hair, blue eyes", None]
    pictures = [backdrop(number).crop((0, 0, 60 + number, 90)) for number in range(3)]
    return [keep(store, picture, f"5_rin/{number}.jpg", (), caption=captions[number]) for number, picture in enumerate(pictures)]


def test_a_dataset_made_before_keeps_its_pictures_and_captions(store: Store, settings: CuratorSettings) -> None:
    outputs, rejected = package(store, settings, made_before(store), params(as_they_are=True, crop_kinds=[], min_images=0))
    dataset = ImageSet.load(store, outputs["dataset"])
    assert not rejected, "no picture is dropped, however small or alike"
    assert [image.sha256 for image in dataset] == [image.sha256 for image in made_before(store)]
    told, untold = dataset.images[:2], dataset.images[2]
    assert [image.caption for image in told] == ["rin, long hair, blue eyes, sitting", "long hair, blue eyes"]
    assert untold.caption is not None and untold.caption.startswith("rin, "), "what has no caption gets one from the tagger"
    assert {"long_hair", "blue_eyes"} <= set(dataset.meta["core_tags"]) and "rin" not in dataset.meta["core_tags"]


def read_as_sd_scripts_does(train_data_dir: Path) -> dict[str, tuple[int, str]]:
    """Repeats and caption of each image, by name, for `--caption_extension .txt`.

    As the code and the documents of kohya-ss/sd-scripts have it: images lie directly in folders named `{repeats}_{words}`, the
    caption is the first line of the file that only ends in another way, which must not be empty. The folder's words stand in
    for captions that are not there; here that is a fault.
    """
    found = {}
    for folder in train_data_dir.iterdir():
        repeats = re.fullmatch(r"(\d+)_.*", folder.name)
        assert repeats, f"{folder} is passed over"
        for path in sorted(folder.glob("*.png")):
            PIL.Image.open(path).load()
            found[path.stem] = int(repeats[1]), path.with_suffix(".txt").read_text().splitlines()[0].strip()
    return found


@pytest.mark.parametrize("form", ALL_FORMS)
def test_sd_scripts_reads_each_package_as_its_page_says(
    tmp_path: Path, store: Store, settings: CuratorSettings, form: str
) -> None:
    outputs, _ = package(store, settings, crops_of(store, 3), params())
    archives(store, outputs)[f"dataset-{form}.zip"].extractall(tmp_path / "train" / "10_character")
    dataset = [image for image in ImageSet.load(store, outputs["dataset"]) if Form.parse(form).takes(image)]
    captions = {image.name.removesuffix(".png").replace("/", "_"): (10, image.caption) for image in dataset}
    assert captions
    assert read_as_sd_scripts_does(tmp_path / "train") == captions


def test_a_package_keeps_pictures_apart_that_lay_in_folders(tmp_path: Path, store: Store) -> None:
    names = ["day/one.png", "day_one.png", "DAY/ONE.png"]
    images = [keep(store, backdrop(number), name, (), caption=name) for number, name in enumerate(names)]
    assert write_zip(tmp_path / "raw.zip", Form("raw", False), images, lambda image: store.get(image.digest)) == 3
    ZipFile(tmp_path / "raw.zip").extractall(tmp_path / "train" / "1_x")
    read = read_as_sd_scripts_does(tmp_path / "train")
    assert {stem: caption for stem, (_, caption) in read.items()} == {
        "day_one": "day/one.png", "day_one_2": "day_one.png", "DAY_ONE_3": "DAY/ONE.png",
    }  # fmt: skip
