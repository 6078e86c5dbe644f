"""What `pull` promises, against a hub on a socket."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kyara_inference.catalogue import DetectorEntry, DiffusionEntry, ModelEntry, catalogue
from kyara_inference.pull import ATTEMPTS, PullError, pull
from tests.servers.hub import LocalHub

WEIGHTS = np.random.default_rng(0).bytes(3_000_000)
PATH = "face_detect_v1.4_s/model.onnx"


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with LocalHub() as started:
        yield started


def detector(revision: str | None, sha256: str | None) -> DetectorEntry:
    return DetectorEntry.model_validate(
        {
            "name": "face",
            "kind": "detector",
            "repo": "deepghs/faces",
            "revision": revision,
            "licence": "MIT",
            "classes": ["face"],
            "confidence": 0.25,
            "iou": 0.7,
            "files": [{"path": PATH, "sha256": sha256, "inputs": {"images": [-1, 3, -1, -1]}}],
        }
    )


def pinned(hub: LocalHub, weights: bytes = WEIGHTS) -> ModelEntry:
    revision = hub.add("model", "deepghs/faces", {PATH: weights})
    return detector(revision, hashlib.sha256(weights).hexdigest())


def downloads(hub: LocalHub) -> int:
    return sum(1 for method, path in hub.requests if method == "GET" and path.startswith("/storage/"))


def test_a_pinned_model_is_fetched_once_and_keeps_its_bytes_when_the_repository_moves_on(hub: LocalHub, tmp_path: Path) -> None:
    entry = pinned(hub)
    hub.add("model", "deepghs/faces", {PATH: b"\0newer"})
    pull(entry, tmp_path, endpoint=hub.endpoint)
    folder = pull(entry, tmp_path, endpoint=hub.endpoint)
    assert (folder / "model.onnx").read_bytes() == WEIGHTS
    assert sorted(path.name for path in folder.iterdir()) == ["model.onnx", "pins.json"]
    assert downloads(hub) == 1


def test_a_diffusers_folder_keeps_its_layout(hub: LocalHub, tmp_path: Path) -> None:
    files = {"model_index.json": b"{}", "unet/config.json": b"{1}", "vae/config.json": b"{2}"}
    revision = hub.add("model", "some/base", files)
    entry = DiffusionEntry.model_validate(
        {
            "name": "base",
            "kind": "diffusion",
            "repo": "some/base",
            "revision": revision,
            "licence": None,
            "files": [{"path": path, "sha256": hashlib.sha256(data).hexdigest()} for path, data in files.items()],
        }
    )
    folder = pull(entry, tmp_path, endpoint=hub.endpoint)
    assert {path: (folder / path).read_bytes() for path in files} == files


def test_other_bytes_than_the_pinned_are_refused_and_not_kept(hub: LocalHub, tmp_path: Path) -> None:
    revision = hub.add("model", "deepghs/faces", {PATH: WEIGHTS})
    with pytest.raises(PullError, match="has the digest"):
        pull(detector(revision, "0" * 64), tmp_path, endpoint=hub.endpoint)
    assert list((tmp_path / "face").iterdir()) == []


def test_a_damaged_file_is_fetched_again(hub: LocalHub, tmp_path: Path) -> None:
    entry = pinned(hub)
    file = pull(entry, tmp_path, endpoint=hub.endpoint) / "model.onnx"
    file.write_bytes(WEIGHTS[:-1])
    pull(entry, tmp_path, endpoint=hub.endpoint)
    assert file.read_bytes() == WEIGHTS


def test_a_broken_connection_is_taken_up_where_it_broke(hub: LocalHub, tmp_path: Path) -> None:
    hub.cut_after = 2_000_000
    folder = pull(pinned(hub), tmp_path, endpoint=hub.endpoint)
    assert (folder / "model.onnx").read_bytes() == WEIGHTS
    assert hub.ranges
    assert int(hub.ranges[0].removeprefix("bytes=").removesuffix("-")) > 0


def test_a_pull_that_was_stopped_goes_on_where_it_was_the_next_time(hub: LocalHub, tmp_path: Path) -> None:
    entry = pinned(hub)

    def stop(name: str, done: int, size: int) -> None:
        if done > size // 2:
            raise KeyboardInterrupt(name)

    with pytest.raises(KeyboardInterrupt):
        pull(entry, tmp_path, endpoint=hub.endpoint, on_progress=stop)
    (part,) = (tmp_path / "face").glob("*.part")
    begun = part.stat().st_size
    assert begun > 0
    folder = pull(entry, tmp_path, endpoint=hub.endpoint)
    assert hub.ranges == [f"bytes={begun}-"]
    assert (folder / "model.onnx").read_bytes() == WEIGHTS
    assert not list(folder.glob("*.part"))


def test_a_hub_that_keeps_failing_is_given_up_with_the_way_to_go_on(hub: LocalHub, tmp_path: Path) -> None:
    entry = pinned(hub)
    for _ in range(ATTEMPTS):
        hub.fail("GET", "/storage/", 503)
    with pytest.raises(PullError, match="run the same command again"):
        pull(entry, tmp_path, endpoint=hub.endpoint)


@pytest.mark.parametrize("knows", ["nothing", "revision", "digest"])
def test_an_unpinned_model_is_refused_with_what_to_do(hub: LocalHub, tmp_path: Path, knows: str) -> None:
    entry = pinned(hub)
    entry = detector(entry.revision if knows == "revision" else None, entry.files[0].sha256 if knows == "digest" else None)
    with pytest.raises(PullError, match="--pin"):
        pull(entry, tmp_path, endpoint=hub.endpoint)
    assert downloads(hub) == 0


def test_pin_records_what_was_fetched_and_later_pulls_hold_to_it(hub: LocalHub, tmp_path: Path) -> None:
    revision = pinned(hub).revision
    unknown = detector(None, None)
    folder = pull(unknown, tmp_path, pin=True, endpoint=hub.endpoint)
    recorded = json.loads((folder / "pins.json").read_text())
    assert recorded == {
        "repo": "deepghs/faces",
        "revision": revision,
        "files": {"model.onnx": hashlib.sha256(WEIGHTS).hexdigest()},
    }
    hub.add("model", "deepghs/faces", {PATH: b"\0newer"})
    (folder / "model.onnx").unlink()
    pull(unknown, tmp_path, endpoint=hub.endpoint)
    assert (folder / "model.onnx").read_bytes() == WEIGHTS


def test_progress_counts_bytes_up_to_the_size(hub: LocalHub, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    pull(pinned(hub), tmp_path, endpoint=hub.endpoint, on_progress=lambda *now: seen.append(now))
    assert seen[-1] == ("model.onnx", len(WEIGHTS), len(WEIGHTS))


def test_errors_say_what_is_wrong(hub: LocalHub, tmp_path: Path) -> None:
    entry = pinned(hub)
    hub.repos["model", "deepghs/faces"].commits.pop(str(entry.revision))
    with pytest.raises(PullError, match="no such revision"):
        pull(entry, tmp_path, endpoint=hub.endpoint)
    hub.repos.clear()
    with pytest.raises(PullError, match="no such repository"):
        pull(entry, tmp_path, endpoint=hub.endpoint)
    with pytest.raises(PullError, match="cannot be reached"):
        pull(entry, tmp_path, endpoint="http://127.0.0.1:1")
    with pytest.raises(PullError, match="shipped with kyara-miniature"):
        pull(catalogue()["miniature-ccip"], tmp_path)


def test_the_hub_is_the_one_that_hf_endpoint_names(hub: LocalHub, tmp_path: Path) -> None:
    entry = pinned(hub)
    program = (
        "import sys; from pathlib import Path; from kyara_inference.catalogue import DetectorEntry; "
        "from kyara_inference.pull import pull; "
        "pull(DetectorEntry.model_validate_json(sys.argv[1]), Path(sys.argv[2]))"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint}
    subprocess.run([sys.executable, "-c", program, entry.model_dump_json(), tmp_path], env=environment, check=True)
    assert (tmp_path / "face" / "model.onnx").read_bytes() == WEIGHTS
