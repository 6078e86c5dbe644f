"""Where things are published to: mended when broken, every link leading somewhere, a hub's trouble told apart."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kyara.publisher.v1.publisher_pb2 import PublishLoraParams, Target
from kyara_artifacts import get_json, open_store
from kyara_publisher.hub import hub_name
from kyara_publisher.settings import PublisherSettings
from kyara_publisher.stage import OPERATIONS
from kyara_stage import StageError
from kyara_stage.testing import run_operation
from services.publisher.tests import publisher_world
from tests.servers.hub import REPO_NAME, LocalHub
from tests.servers.processes import free_port

TOKEN = "hf_right"


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with LocalHub(token=TOKEN) as server:
        yield server


def publish(folder: Path, target: Target, name: str = "hana", hub: str = "https://hub.invalid", token: str = TOKEN) -> Any:
    """Publish the LoRA of the tests' world, from a store in `folder`; the receipt."""
    url = (folder / "store").as_uri()
    store = open_store(url)
    settings = PublisherSettings.model_validate({"store": url, "hub": hub, "hub_token": token})
    params = PublishLoraParams(target=target, name=name, trigger="hana", recipe="v1.4", base_model="nai")
    outputs, _ = run_operation(OPERATIONS[2], params, publisher_world.lora(store), store, settings)
    return get_json(store, outputs["receipt"])


def files_under(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_receipt_holds_every_file_with_its_digest(tmp_path: Path) -> None:
    receipt = publish(tmp_path, Target(folder=str(tmp_path / "out")))
    files = files_under(Path(receipt["where"]))
    assert receipt["files"] == {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def test_publishing_again_mends_what_is_broken_or_gone(tmp_path: Path) -> None:
    root = Path(publish(tmp_path, Target(folder=str(tmp_path / "out")))["where"])
    before = files_under(root)
    (root / "meta.json").write_bytes(bytes(len(before["meta.json"])))
    (root / "README.md").unlink()
    publish(tmp_path, Target(folder=str(tmp_path / "out")))
    assert files_under(root) == before


def test_every_link_of_the_readme_leads_to_a_file(tmp_path: Path) -> None:
    files = files_under(Path(publish(tmp_path, Target(folder=str(tmp_path / "out")), "hana of the north")["where"]))
    targets = {part.split(")")[0].replace("%20", " ") for part in files["README.md"].decode().split("](")[1:]}
    assert len(targets) >= 4
    assert targets <= set(files)


def test_publishing_to_a_hub_again_makes_no_new_commit(tmp_path: Path, hub: LocalHub) -> None:
    first = publish(tmp_path, Target(hub_owner="kyara"), hub=hub.endpoint)
    assert first["where"] == f"{hub.endpoint}/kyara/hana"
    commits = list(hub.repos["model", "kyara/hana"].commits)
    assert publish(tmp_path, Target(hub_owner="kyara"), hub=hub.endpoint) == first
    assert list(hub.repos["model", "kyara/hana"].commits) == commits


def test_a_hub_in_trouble_is_worth_another_attempt(tmp_path: Path, hub: LocalHub) -> None:
    hub.fail("POST", "/commit/", 500)
    with pytest.raises(StageError, match="kyara/hana") as failed:
        publish(tmp_path, Target(hub_owner="kyara"), hub=hub.endpoint)
    assert failed.value.code.name == "UNAVAILABLE"
    assert "10/hana.safetensors" not in hub.files("model", "kyara/hana")


def test_a_hub_that_is_away_is_worth_another_attempt(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StageError, match=address) as failed:
        publish(tmp_path, Target(hub_owner="kyara"), hub=address)
    assert failed.value.code.name == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("show-dataset", "show-dataset"),
        ("hana of the north", "hana_of_the_north-"),
        ("Café -- π", "Cafe-"),
        ("初音ミク", ""),
        ("../../etc", "etc-"),
        ("x" * 300, "x" * 80 + "-"),
        ("lora.git", "lora-"),
    ],
)
def test_a_name_from_outside_becomes_one_that_a_hub_takes_and_shares_with_no_other(name: str, repository: str) -> None:
    given = hub_name(name)
    assert REPO_NAME.fullmatch(given)
    assert given == name or re.fullmatch(re.escape(repository) + "[0-9a-f]{8}", given)
    assert hub_name(name + "!") != given


@pytest.mark.parametrize("owner", ["", "a/b", "..", "some one", "../someone", "-a", "ä"])
def test_an_owner_that_no_hub_has_is_refused(tmp_path: Path, hub: LocalHub, owner: str) -> None:
    with pytest.raises(StageError, match="owner") as failed:
        publish(tmp_path, Target(hub_owner=owner), hub=hub.endpoint)
    assert failed.value.code.name == "INVALID_ARGUMENT"
    assert not hub.requests


def test_a_token_that_the_hub_refuses_ends_the_stage_and_is_not_shown(tmp_path: Path, hub: LocalHub) -> None:
    with pytest.raises(StageError) as failed:
        publish(tmp_path, Target(hub_owner="kyara"), hub=hub.endpoint, token="hf_wrong")
    assert failed.value.code.name == "FAILED_PRECONDITION"
    assert "hf_wrong" not in str(failed.value)
