"""What is published: the layouts of a dataset and of a LoRA, to a folder and to a hub, twice without harm."""

import io
import json
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from kyara.publisher.v1.publisher_pb2 import PublishDatasetParams, PublishLoraParams, Target
from kyara_artifacts import Store, get_json, open_store
from kyara_inference import catalogue
from kyara_publisher.repository import safe_name
from kyara_publisher.settings import PublisherSettings
from kyara_publisher.stage import OPERATIONS
from kyara_stage import StageError
from kyara_stage.testing import run_operation
from services.publisher.tests import publisher_world
from tests.servers.hub import LocalHub

DATASET, _, LORA = OPERATIONS


@pytest.fixture
def settings(tmp_path: Path) -> PublisherSettings:
    return PublisherSettings(store=f"file://{tmp_path}/store")


@pytest.fixture
def store(settings: PublisherSettings) -> Store:
    return open_store(settings.store)


def lora_params(target: Target) -> PublishLoraParams:
    return PublishLoraParams(target=target, name="hana", trigger="hana", recipe="v1.4", base_model="meinamix_v11")


def files_under(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_dataset_has_a_folder_for_each_character_and_one_for_noise(
    tmp_path: Path, store: Store, settings: PublisherSettings
) -> None:
    params = PublishDatasetParams(target=Target(folder=str(tmp_path / "out")), name="show")
    outputs, _ = run_operation(DATASET, params, publisher_world.clusters(store), store, settings)
    files = files_under(tmp_path / "out" / "show-dataset")
    assert {"0/dataset.zip", "1/dataset.zip", "-1/dataset.zip", "0/preview_1.png", "all.zip", "README.md"} <= set(files)
    assert json.loads(files["meta.json"]) == {"ids": [-1, 0, 1], "name": "show", "total": 7}
    assert get_json(store, outputs["receipt"])["where"] == str(tmp_path / "out" / "show-dataset")


def test_names_from_outside_stay_inside_their_archive(tmp_path: Path, store: Store, settings: PublisherSettings) -> None:
    params = PublishDatasetParams(target=Target(folder=str(tmp_path / "out")), name="../../show")
    run_operation(DATASET, params, publisher_world.clusters(store), store, settings)
    (root,) = (tmp_path / "out").iterdir()
    archive = zipfile.ZipFile(io.BytesIO((root / "-1" / "dataset.zip").read_bytes()))
    assert all("/" not in name and ".." not in name for name in archive.namelist())


def test_a_lora_is_published_with_its_best_step_first(tmp_path: Path, store: Store, settings: PublisherSettings) -> None:
    inputs = publisher_world.lora(store)
    run_operation(LORA, lora_params(Target(folder=str(tmp_path / "out"))), inputs, store, settings)
    files = files_under(tmp_path / "out" / "hana")
    assert files["12/hana.safetensors"] == b"lora12"
    assert {"24/hana.zip", "12/previews/plain.png", "12/previews/plain_info.txt"} <= set(files)
    meta = json.loads(files["meta.json"])
    assert (meta["best_step"], meta["steps"], meta["core_tags"]) == (12, [12, 24], ["blue_hair"])
    readme = files["README.md"].decode()
    assert "`hana, blue hair`" in readme
    assert readme.index("| **12** |") < readme.index("| 24 |")
    assert (files["report.html"], "(report.html)" in readme) == (b"<!doctype html>", True)
    licence = catalogue()[lora_params(Target()).base_model].licence
    assert licence and f"license: {licence.lower()}\n" in readme.split("---")[1]
    assert (meta["licence"], meta["kyara"]) == (licence, version("kyara-publisher"))


def test_saves_that_were_judged_before_there_was_a_page_are_published_without_one(
    tmp_path: Path, store: Store, settings: PublisherSettings
) -> None:
    inputs = {name: artifact for name, artifact in publisher_world.lora(store).items() if name != "report"}
    run_operation(LORA, lora_params(Target(folder=str(tmp_path / "out"))), inputs, store, settings)
    files = files_under(tmp_path / "out" / "hana")
    assert "report.html" not in files
    assert b"report.html" not in files["README.md"]


def test_publishing_twice_writes_nothing_anew(tmp_path: Path, store: Store, settings: PublisherSettings) -> None:
    params, inputs = lora_params(Target(folder=str(tmp_path / "out"))), publisher_world.lora(store)
    first, _ = run_operation(LORA, params, inputs, store, settings)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    again, _ = run_operation(LORA, params, inputs, store, settings)
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == times


def test_a_hub_gets_the_same_files_as_a_folder(tmp_path: Path, store: Store, settings: PublisherSettings) -> None:
    inputs = publisher_world.lora(store)
    run_operation(LORA, lora_params(Target(folder=str(tmp_path / "out"))), inputs, store, settings)
    with LocalHub(token="secret") as hub:
        values = {"store": settings.store, "hub": hub.endpoint, "hub_token": "secret"}
        for _ in range(2):
            run_operation(LORA, lora_params(Target(hub_owner="someone")), inputs, store, PublisherSettings.model_validate(values))
        ((kind, name),) = hub.repos
        assert (kind.removesuffix("s"), name) == ("model", "someone/hana")
        published = hub.files("model", "someone/hana")
    folder = files_under(tmp_path / "out" / "hana")
    assert {path: data for path, data in published.items() if path != ".gitattributes"} == folder


def test_a_hub_without_a_token_or_that_refuses_is_said(store: Store, settings: PublisherSettings) -> None:
    inputs = publisher_world.lora(store)
    with pytest.raises(StageError, match="token"):
        run_operation(LORA, lora_params(Target(hub_owner="someone")), inputs, store, settings)
    with LocalHub(token="secret") as hub:
        values = {"store": settings.store, "hub": hub.endpoint, "hub_token": "wrong"}
        with pytest.raises(StageError, match="refused"):
            run_operation(LORA, lora_params(Target(hub_owner="someone")), inputs, store, PublisherSettings.model_validate(values))


def test_nowhere_to_publish_to_is_said(store: Store, settings: PublisherSettings) -> None:
    with pytest.raises(StageError, match="nowhere"):
        run_operation(LORA, lora_params(Target()), publisher_world.lora(store), store, settings)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..", ".hidden", "x\0y", ""])
def test_safe_names_are_one_part_of_a_path(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert "/" not in safe
    assert "\0" not in safe
    assert not safe.startswith(".")
