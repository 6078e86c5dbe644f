"""One Temporal server, one stage server and one jobs process for all tests of this room."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kyara.jobs.v1 import jobs_pb2_grpc
from kyara_artifacts import open_store
from services.jobs.tests.jobs_world import Jobs, Temporal
from services.jobs.tests.scripted_stages import ScriptedStages


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the servers of this session keep their files."""
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="session")
def store_url(folder: Path) -> str:
    """The store that all of them share."""
    return f"file://{folder}/store"


@pytest.fixture(scope="session")
def temporal(folder: Path) -> Iterator[Temporal]:
    """Temporal."""
    server = Temporal(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def stages(store_url: str) -> Iterator[ScriptedStages]:
    """All stages."""
    server = ScriptedStages(open_store(store_url))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def jobs_process(folder: Path, store_url: str, temporal: Temporal, stages: ScriptedStages) -> Iterator[Jobs]:
    """A jobs process."""
    process = Jobs(folder, temporal.address, store_url, stages.address, "jobs")
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def jobs(jobs_process: Jobs) -> jobs_pb2_grpc.JobServiceStub:
    """A client of the jobs process."""
    return jobs_process.client()
