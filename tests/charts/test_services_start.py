"""Every service starts with what its pod gives it and nothing else: its command, its variables, its settings."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from charts.generate import CHART
from kyara_rpc import is_serving
from tests.charts.rendering import rendered
from tests.servers.processes import free_port
from tests.servers.s3 import S3Server, s3_server

pytestmark = pytest.mark.slow
SERVICES = sorted(yaml.safe_load((CHART / "values.yaml").read_text())["services"])
WITHIN_S = 90
OURS = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
"""What an image has in its place."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    program = Path(sys.executable).parent / "temporal"
    log = (tmp_path_factory.mktemp("temporal") / "log").open("wb")
    with (
        log,
        subprocess.Popen([program, "server", "start-dev", "--headless", "--port", str(port)], stdout=log, stderr=log) as process,
    ):
        yield f"127.0.0.1:{port}"
        process.kill()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_serves_with_what_its_pod_gives_it(service: str, store: S3Server, temporal: str, tmp_path: Path) -> None:
    (pod,) = (pod for pod in rendered("bundled").pods() if pod.component == service)
    container = pod.spec["containers"][0]
    address = f"127.0.0.1:{free_port()}"
    here = {"listen": address, "store": store.url("kyara"), "work_dir": str(tmp_path / "work"), "temporal": temporal}
    settings = rendered("bundled").settings(service)
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings | {key: here[key] for key in here if key in settings}))
    variables = {each["name"]: each.get("value") or store.environment.get(each["name"], "x") for each in container["env"]}
    variables |= {"KYARA_CONFIG": str(tmp_path / "settings.yaml"), "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    assert container["command"][0] == "python"
    command = [sys.executable, *container["command"][1:]]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env={**OURS, **variables}, cwd="/", stdout=log, stderr=log)
    try:
        give_up = time.monotonic() + WITHIN_S
        while not is_serving(address):
            said = (tmp_path / "log").read_text(errors="replace")[-2000:]
            assert process.poll() is None and time.monotonic() < give_up, said
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(30)
