"""The archives of a video's dataset: what is in which, that they load, and that they are made of the same bytes each time."""

import io
import json
import os
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kyara.publisher.v1.publisher_pb2 import PublishDatasetParams, Target
from kyara_artifacts import ImageSet, Store, open_store
from kyara_publisher import dataset
from kyara_publisher.archives import Archive
from kyara_publisher.settings import PublisherSettings
from kyara_publisher.stage import OPERATIONS
from kyara_stage.testing import run_operation
from services.publisher.tests import publisher_world
from tests.servers.hub import LocalHub

LOAD = """
import json, sys
from datasets import load_dataset
found = {}
for config in json.loads(sys.argv[2]):
    rows = load_dataset(sys.argv[1], config, split="train")
    found[config] = [{**row, "image": row["image"].size} for row in rows]
print(json.dumps(found))
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/store")


def publish(store: Store, folder: Path, inputs: dict[str, Any]) -> Path:
    """Publish a dataset called `show` to `folder`; where it is."""
    params = PublishDatasetParams(target=Target(folder=str(folder)), name="show")
    run_operation(OPERATIONS[0], params, inputs, store, PublisherSettings(store=f"file://{folder}/unused"))
    return folder / "show-dataset"


def loaded(where: str, configs: list[str], cache: Path, endpoint: str = "") -> dict[str, list[dict[str, Any]]]:
    """What `datasets.load_dataset` makes of a repository, in a process of its own, whose caches are empty."""
    environment = {**os.environ, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= {"HF_ENDPOINT": endpoint} if endpoint else {"HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", LOAD, where, json.dumps(configs)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False, cwd=cache.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def pictures_in(path: Path) -> list[str]:
    return [name for name in zipfile.ZipFile(path).namelist() if name.endswith(".png")]


def test_raw_holds_every_crop_as_it_was_before_characters_were_told_apart(tmp_path: Path, store: Store) -> None:
    root = publish(store, tmp_path / "out", publisher_world.season(store, 2, 3))
    archive = zipfile.ZipFile(root / "raw.zip")
    rows = [json.loads(line) for line in archive.read("metadata.jsonl").splitlines()]
    assert [row["file_name"] for row in rows] == pictures_in(root / "raw.zip")
    assert len(rows) == 9
    assert all("/" not in row["file_name"] for row in rows)
    assert not {"index", "outfit"} & set(rows[0])
    assert rows[0] == {
        "file_name": "00000_Show_S01_1080p_-1_0.png", "name": "e01/Show.S01.1080p_-1_0.png", "source": "e01.mkv", "time_s": 0.0,
        "shot": 0, "width": 16, "height": 24, "scores": [{"name": "quality", "value": 0.5}],
        "boxes": [{"kind": "face", "x0": 1.0, "y0": 2.0, "x1": 9.0, "y1": 8.0, "score": 0.9}],
    }  # fmt: skip


def test_all_holds_a_folder_for_each_index(tmp_path: Path, store: Store) -> None:
    root = publish(store, tmp_path / "out", publisher_world.season(store, 2, 3))
    for index in (0, 1, -1):
        own = [f"{index}/{name}" for name in pictures_in(root / f"{index}" / "dataset.zip")]
        assert len(own) == 3
        assert own == [name for name in pictures_in(root / "all.zip") if name.startswith(f"{index}/")]


def test_regular_draws_so_many_of_everybody_and_the_same_each_time(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "REGULAR", 20)
    inputs = publisher_world.season(store, 3, 20)
    files = [dataset.dataset_repository(store, "show", clusters, inputs["sheet"].digest) for clusters in _shuffled(store, inputs)]
    drawn = []
    for number, each in enumerate(files):
        archive = each["regular/normal.zip"]
        assert isinstance(archive, Archive)
        archive.write(tmp_path / f"{number}.zip")
        drawn.append((tmp_path / f"{number}.zip").read_bytes())
    assert drawn[0] == drawn[1]
    rows = [json.loads(line) for line in zipfile.ZipFile(io.BytesIO(drawn[0])).read("metadata.jsonl").splitlines()]
    assert len(rows) == 20
    assert {row["index"] for row in rows} == {0, 1, 2, -1}


def _shuffled(store: Store, inputs: dict[str, Any]) -> list[ImageSet]:
    clusters = ImageSet.load(store, inputs["clusters"])
    return [clusters, ImageSet(images=clusters.images[::-1])]


def test_the_readme_says_what_is_left_out_and_every_link_leads_somewhere(tmp_path: Path, store: Store) -> None:
    root = publish(store, tmp_path / "out", publisher_world.season(store, 2, 9))
    readme = (root / "README.md").read_text()
    assert "`regular/nobg.zip`, the same without backgrounds, is left out" in readme
    assert not (root / "regular" / "nobg.zip").exists()
    head, *rows = [line.split(" | ") for line in readme.splitlines() if line.startswith("| ")]
    assert head[0] == "| index"
    assert [row[0] for row in rows] == ["| ---", "| 0", "| 1", "| -1"]
    links = {part.split(")")[0] for part in readme.split("](")[1:]}
    assert {"0/preview_8.png", "-1/dataset.zip", "all.zip", "raw.zip", "regular/normal.zip"} <= links
    assert all((root / link).is_file() for link in links)


def test_load_dataset_loads_a_published_folder(tmp_path: Path, store: Store) -> None:
    root = publish(store, tmp_path / "out", publisher_world.season(store, 2, 3))
    found = loaded(str(root), ["default", "0", "-1", "raw", "regular"], tmp_path / "cache")
    assert {config: len(rows) for config, rows in found.items()} == {"default": 9, "0": 3, "-1": 3, "raw": 9, "regular": 9}
    assert [row["index"] for row in found["default"]] == [0, 0, 0, 1, 1, 1, -1, -1, -1]
    row = found["0"][1]
    assert (row["image"], row["index"], row["outfit"], row["time_s"]) == ([16, 24], 0, 1, 1.5)
    assert row["scores"] == [{"name": "quality", "value": 0.5}]


def test_load_dataset_loads_it_from_a_hub(tmp_path: Path, store: Store) -> None:
    with LocalHub(token="hf_right") as hub:
        values = {"store": f"file://{tmp_path}/store", "hub": hub.endpoint, "hub_token": "hf_right"}
        params = PublishDatasetParams(target=Target(hub_owner="kyara"), name="show")
        inputs = publisher_world.season(store, 2, 3)
        run_operation(OPERATIONS[0], params, inputs, store, PublisherSettings.model_validate(values))
        found = loaded("kyara/show-dataset", ["default", "1"], tmp_path / "cache", hub.endpoint)
    assert [row["index"] for row in found["default"]] == [0, 0, 0, 1, 1, 1, -1, -1, -1]
    assert [row["time_s"] for row in found["1"]] == [0.0, 1.5, 3.0]


def test_load_dataset_loads_a_characters_pictures_with_their_captions(tmp_path: Path, store: Store) -> None:
    params = PublishDatasetParams(target=Target(folder=str(tmp_path / "out")), name="hana")
    settings = PublisherSettings(store=f"file://{tmp_path}/store")
    run_operation(OPERATIONS[1], params, publisher_world.character(store), store, settings)
    root = tmp_path / "out" / "hana-dataset"
    assert {path.name for path in root.iterdir()} == {
        "README.md", "dataset-raw.zip", "images.zip", "meta.json", "sample_1.png",
    }  # fmt: skip
    rows = loaded(str(root), ["default"], tmp_path / "cache")["default"]
    assert [row["caption"] for row in rows] == ["hana, smile 0", "hana, smile 1", "hana, smile 2"]


def test_load_dataset_loads_a_characters_captions_from_a_hub(tmp_path: Path, store: Store) -> None:
    with LocalHub(token="hf_right") as hub:
        values = {"store": f"file://{tmp_path}/store", "hub": hub.endpoint, "hub_token": "hf_right"}
        params = PublishDatasetParams(target=Target(hub_owner="kyara"), name="hana")
        run_operation(OPERATIONS[1], params, publisher_world.character(store), store, PublisherSettings.model_validate(values))
        rows = loaded("kyara/hana-dataset", ["default"], tmp_path / "cache", hub.endpoint)["default"]
    assert [row["caption"] for row in rows] == ["hana, smile 0", "hana, smile 1", "hana, smile 2"]
    assert {tuple(row["image"]) for row in rows} == {(16, 24)}


def test_an_archive_is_written_in_little_memory_and_the_same_each_time(tmp_path: Path) -> None:
    archive = Archive(lambda: ((f"{number}.bin", bytes([number]) * (1 << 20)) for number in range(100)))
    tracemalloc.start()
    try:
        archive.write(tmp_path / "first.zip")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20, "of 100 MiB"
    archive.write(tmp_path / "second.zip")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    entry = zipfile.ZipFile(tmp_path / "first.zip").infolist()[0]
    assert (entry.date_time, entry.external_attr >> 16, entry.create_system) == ((1980, 1, 1, 0, 0, 0), 0o100644, 3)
