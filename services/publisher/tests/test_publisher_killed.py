"""A publisher that is killed half way: another attempt ends with what one attempt would have given, and sends nothing twice."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from kyara.publisher.v1.publisher_pb2 import PublishDatasetParams, Target
from kyara.stage.v1.stage_pb2 import Action, Result, RunRequest
from kyara.stage.v1.stage_pb2_grpc import StageServiceStub
from kyara_artifacts import get_json, open_store
from kyara_publisher.hub import FILES_A_COMMIT
from kyara_rpc import connect_sync
from services.publisher.tests import publisher_world
from tests.servers.hub import LocalHub
from tests.servers.processes import Server, stage_server

INDEXES = 60
REPOSITORY = ("dataset", "someone/show-dataset")


class Publishing:
    """A publisher's real server over a season's worth of small files."""

    def __init__(self, server: Server, store: str) -> None:
        self.server = server
        self.store = open_store(store)
        self._inputs = publisher_world.season(self.store, INDEXES, 3)

    def run(self, target: Target) -> Result:
        """Publish; the result. Raises RpcError when the server is killed."""
        action = Action(stage="publisher.dataset", inputs=self._inputs)
        action.params.Pack(PublishDatasetParams(target=target, name="show"))
        with connect_sync(self.server.address) as channel:
            *_, last = StageServiceStub(channel).Run(RunRequest(action=action), timeout=120)
        assert last.result.status.code == 0, last.result.status.message
        return last.result

    def run_aside(self, target: Target) -> threading.Thread:
        """Publish in a thread, to be killed there."""

        def doomed() -> None:
            with pytest.raises(grpc.RpcError):
                self.run(target)

        thread = threading.Thread(target=doomed)
        thread.start()
        return thread


@pytest.fixture
def hub(request: pytest.FixtureRequest) -> Iterator[LocalHub]:
    with LocalHub(token="hf_right", chunk_size=getattr(request, "param", None)) as server:
        yield server


@pytest.fixture
def publishing(tmp_path: Path, hub: LocalHub) -> Iterator[Publishing]:
    store = f"file://{tmp_path}/store"
    settings = {"hub": hub.endpoint, "hub_token": "hf_right"}
    with stage_server(["-m", "kyara_publisher"], "publisher", store, tmp_path, settings) as server:
        yield Publishing(server, store)


@pytest.mark.parametrize(
    ("hub", "method", "path", "skip"),
    [(None, "POST", "/commit/", 1), (2000, "PUT", "/storage/", 150)],
    indirect=["hub"],
    ids=["between two commits", "in the middle of an upload in parts"],
)
def test_killed_while_it_publishes_to_a_hub(
    publishing: Publishing, hub: LocalHub, tmp_path: Path, method: str, path: str, skip: int
) -> None:
    held = hub.hold(method, path, skip)
    doomed = publishing.run_aside(Target(hub_owner="someone"))
    assert held.reached.wait(60)
    publishing.server.kill()
    held.drop()
    doomed.join()
    there, asked = set(hub.objects), len(hub.requests)
    committed = set(hub.repos[REPOSITORY].files)
    assert "README.md" not in committed, "nobody takes a half for the whole"
    assert there

    publishing.server.start()
    receipt = get_json(publishing.store, publishing.run(Target(hub_owner="someone")).outputs["receipt"])
    sent = {path.split("/")[2] for method, path in hub.requests[asked:] if method == "PUT"}
    assert not sent & there, "what the hub had was sent again"
    folder = get_json(publishing.store, publishing.run(Target(folder=str(tmp_path / "out"))).outputs["receipt"])
    assert receipt["files"] == folder["files"]
    published = {path: data for path, data in hub.files(*REPOSITORY).items() if path != ".gitattributes"}
    root = Path(folder["where"])
    assert published == {path: (root / path).read_bytes() for path in folder["files"]}
    # One commit made the repository.
    assert len(hub.repos[REPOSITORY].commits) - 1 == -(-len(published) // FILES_A_COMMIT) == 3


def test_killed_while_it_publishes_to_a_folder(publishing: Publishing, tmp_path: Path) -> None:
    root = tmp_path / "out" / "show-dataset"
    doomed = publishing.run_aside(Target(folder=str(tmp_path / "out")))
    until = time.monotonic() + 60
    while len(list(root.glob("*/*"))) < 20:
        assert time.monotonic() < until
        time.sleep(0.001)
    publishing.server.kill()
    doomed.join()
    assert not (root / "README.md").exists(), "nobody takes a half for the whole"
    # The worst that can be left: half of a file under the name that is used while writing.
    (root / "0" / ".dataset.zip.part").write_bytes(b"half")
    (root / "0" / "dataset.zip").unlink()

    publishing.server.start()
    receipt = get_json(publishing.store, publishing.run(Target(folder=str(tmp_path / "out"))).outputs["receipt"])
    assert {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()} == set(receipt["files"])
