"""What the crawler promises of a folder of pictures."""

import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from kyara.crawler.v1.crawler_pb2 import CollectParams, ResolveParams
from kyara_artifacts import ImageSet, Store, open_store, png_bytes
from kyara_crawler.settings import CrawlerSettings
from kyara_crawler.stage import OPERATIONS
from kyara_stage import StageError
from kyara_stage.testing import run_operation

RESOLVE, COLLECT = OPERATIONS


@pytest.fixture
def settings(tmp_path: Path) -> CrawlerSettings:
    return CrawlerSettings(store=f"file://{tmp_path}/store", max_file_bytes=100_000)


@pytest.fixture
def store(settings: CrawlerSettings) -> Store:
    return open_store(settings.store)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures" / "more").mkdir(parents=True)
    return tmp_path / "pictures"


def picture(level: int) -> np.ndarray:
    return np.full((40, 30, 3), level, np.uint8)


def collected(folder: Path, store: Store, settings: CrawlerSettings) -> tuple[ImageSet, dict[str, str]]:
    pinned, _ = run_operation(RESOLVE, ResolveParams(folder=str(folder)), {}, store, settings)
    outputs, rejected = run_operation(COLLECT, CollectParams(), {"pinned": pinned["pinned"]}, store, settings)
    return ImageSet.load(store, outputs["images"]), {each["item"]: each["reason"] for each in rejected}


def test_pictures_come_by_name_whatever_their_format(folder: Path, store: Store, settings: CrawlerSettings) -> None:
    PIL.Image.fromarray(picture(10)).save(folder / "b.jpg")
    PIL.Image.fromarray(picture(20)).save(folder / "more" / "a.webp")
    (folder / ".hidden.png").write_bytes(png_bytes(picture(30)))
    images, rejected = collected(folder, store, settings)
    assert [(image.name, image.width, image.height) for image in images] == [("b.jpg", 30, 40), ("more/a.webp", 30, 40)]
    assert not rejected


def test_what_is_no_picture_or_there_twice_is_set_aside_with_its_reason(
    folder: Path, store: Store, settings: CrawlerSettings
) -> None:
    whole = png_bytes(np.random.default_rng(1).integers(0, 255, (60, 60, 3), dtype=np.uint8))
    (folder / "a.png").write_bytes(whole)
    (folder / "again.png").write_bytes(whole)
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "page.jpg").write_text("<html>sorry</html>")
    images, rejected = collected(folder, store, settings)
    assert [image.name for image in images] == ["a.png"]
    assert set(rejected) == {"again.png", "half.png", "page.jpg"}
    assert "a.png" in rejected["again.png"]


def test_what_was_pinned_stays_what_it_was(folder: Path, store: Store, settings: CrawlerSettings) -> None:
    (folder / "a.png").write_bytes(png_bytes(picture(1)))
    pinned, _ = run_operation(RESOLVE, ResolveParams(folder=str(folder)), {}, store, settings)
    (folder / "a.png").write_bytes(png_bytes(picture(200)))
    outputs, _ = run_operation(COLLECT, CollectParams(), {"pinned": pinned["pinned"]}, store, settings)
    image = ImageSet.load(store, outputs["images"]).images[0]
    assert store.get(image.digest) == png_bytes(picture(1))


def test_links_and_huge_files_are_not_read(folder: Path, store: Store, settings: CrawlerSettings, tmp_path: Path) -> None:
    (folder / "a.png").write_bytes(png_bytes(picture(1)))
    (folder / "huge.png").write_bytes(b"\0" * 200_000)
    (tmp_path / "secret.png").write_bytes(png_bytes(picture(9)))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    pinned, rejected = run_operation(RESOLVE, ResolveParams(folder=str(folder)), {}, store, settings)
    assert [each["item"] for each in rejected] == ["huge.png"]
    outputs, _ = run_operation(COLLECT, CollectParams(), {"pinned": pinned["pinned"]}, store, settings)
    assert len(ImageSet.load(store, outputs["images"])) == 1


def test_a_folder_that_is_not_there_or_empty_is_said(folder: Path, store: Store, settings: CrawlerSettings) -> None:
    for wrong in (folder, folder / "nowhere"):
        with pytest.raises(StageError, match=str(wrong)):
            run_operation(RESOLVE, ResolveParams(folder=str(wrong)), {}, store, settings)


def test_an_archive_in_the_folder_is_a_folder(folder: Path, store: Store, settings: CrawlerSettings) -> None:
    with zipfile.ZipFile(folder / "dataset.zip", "w") as archive:
        archive.writestr("1/a.png", png_bytes(picture(10)))
        archive.writestr("../b.png", png_bytes(picture(20)))
        archive.writestr("metadata.jsonl", "{}")
    images, rejected = collected(folder, store, settings)
    assert [image.name for image in images] == ["dataset.zip/../b.png", "dataset.zip/1/a.png"]
    assert set(rejected) == {"dataset.zip/metadata.jsonl"}


def test_bombs_and_damaged_archives_are_set_aside(folder: Path, store: Store, settings: CrawlerSettings) -> None:
    (folder / "a.png").write_bytes(png_bytes(picture(10)))
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flat.bmp", b"\0" * 90_000)
        archive.writestr("huge.bmp", b"\0" * 200_000)
    noise = np.random.default_rng(1).bytes(5000)
    with zipfile.ZipFile(folder / "damaged.zip", "w") as archive:
        archive.writestr("b.png", noise)
    data = bytearray((folder / "damaged.zip").read_bytes())
    data[1000] ^= 255
    (folder / "damaged.zip").write_bytes(data)
    (folder / "text.zip").write_text("no archive")
    pinned, rejected = run_operation(RESOLVE, ResolveParams(folder=str(folder)), {}, store, settings)
    reasons = {each["item"]: each["reason"] for each in rejected}
    assert set(reasons) == {"bomb.zip/flat.bmp", "bomb.zip/huge.bmp", "damaged.zip/b.png", "text.zip"}
    assert "no picture does" in reasons["bomb.zip/flat.bmp"]
    assert "CRC" in reasons["damaged.zip/b.png"]
    outputs, _ = run_operation(COLLECT, CollectParams(), {"pinned": pinned["pinned"]}, store, settings)
    assert [image.name for image in ImageSet.load(store, outputs["images"])] == ["a.png"]


def test_captions_beside_pictures_come_with_them(folder: Path, store: Store, settings: CrawlerSettings) -> None:
    for level, name in enumerate(("a.png", "b.png", "more/c.png"), 1):
        (folder / name).write_bytes(png_bytes(picture(level)))
    (folder / "a.txt").write_text("\ufeffrin, long hair,\n blue eyes\n", encoding="utf-8")
    (folder / "b.txt").write_bytes("凛, 長い髪".encode("shift-jis"))
    (folder / "c.txt").write_text("beside no picture")
    images, rejected = collected(folder, store, settings)
    captions = {image.name: image.caption for image in images}
    assert captions == {"a.png": "rin, long hair, blue eyes", "b.png": None, "more/c.png": None}
    assert set(rejected) == {"b.txt", "c.txt"}
    assert "not UTF-8 at byte 0; save it anew as UTF-8" in rejected["b.txt"]


def test_one_archive_may_be_the_folder(folder: Path, store: Store, settings: CrawlerSettings) -> None:
    with zipfile.ZipFile(folder / "dataset-raw.zip", "w") as archive:
        archive.writestr("../a.png", png_bytes(picture(1)))
        archive.writestr("../a.txt", "rin, smile")
        archive.writestr("../.a_meta.json", "{}")
    images, rejected = collected(folder / "dataset-raw.zip", store, settings)
    assert [image.caption for image in images] == ["rin, smile"]
    assert not rejected
