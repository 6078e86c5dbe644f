"""What is trained on: the pictures of one package in its size, and datasets that were made before, as they are."""

import pytest

from kyara_artifacts import Image, ImageSet, Store, read_picture
from kyara_curator.packages import Form
from kyara_curator.settings import CuratorSettings
from kyara_stage import StageError
from services.curator.tests.curator_pictures import backdrop, keep
from services.curator.tests.test_curator_package import crops_of, package, params, settings, store

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
