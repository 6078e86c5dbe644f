"""One Triton, on a repository in a real S3 server, and one embedded server beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.inference import inference_server
from tests.servers.kyara import run_cli
from tests.servers.processes import Server
from tests.servers.s3 import S3Server, s3_server
from tests.servers.triton import Triton, triton

BUCKET, PREFIX = "models", "triton"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def server(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    """Triton on what the command of the README put into the bucket."""
    done = run_cli("models", "repository", "--to", s3.url(BUCKET, PREFIX), environment=s3.environment)
    assert done.returncode == 0, done.stderr
    with triton(tmp_path_factory.mktemp("triton"), s3, f"{BUCKET}/{PREFIX}") as started:
        yield started


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with inference_server(tmp_path_factory.mktemp("embedded")) as started:
        yield started
