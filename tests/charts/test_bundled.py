"""The bundled servers start with the very command lines of the chart, and say that they are ready where their probes ask."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from kyara_artifacts import open_store
from kyara_rpc import is_serving
from tests.charts.rendering import Object, rendered
from tests.servers.processes import free_port, free_ports
from tests.servers.s3 import ACCESS, SECRET

KEYS = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}
WITHIN_S = 60


def test_seaweedfs_is_ready_keeps_blobs_and_asks_for_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    container = _container("store")
    port, *rest = free_ports(8)
    names = [*(f"{kind}.port{rpc}" for kind in ("master", "volume", "filer") for rpc in ("", ".grpc")), "s3.port.grpc"]
    others = [f"-{name}={other}" for name, other in zip(names, rest, strict=True)]
    others += [f"-filer.localSocket={tmp_path}/filer", f"-s3.localSocket={tmp_path}/s3"]
    with _running(container, {"/data": str(tmp_path), "=8333": f"={port}"}, others, tmp_path) as process:
        probe = container["readinessProbe"]["httpGet"]
        _until(lambda: _answers(f"http://127.0.0.1:{port}{probe['path']}"), process, tmp_path)
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        store = open_store(f"s3://kyara?endpoint=http://127.0.0.1:{port}")
        assert store.get(store.put(b"a blob")) == b"a blob"
        assert httpx.get(f"http://127.0.0.1:{port}/kyara").status_code == 403


def test_temporal_is_ready_and_has_the_namespace(tmp_path: Path) -> None:
    container = _container("temporal")
    port = free_port()
    with _running(container, {"/data": str(tmp_path), "=7233": f"={port}", "=default": "=ayame"}, [], tmp_path) as process:
        probe = container["readinessProbe"]["grpc"]
        _until(lambda: is_serving(f"127.0.0.1:{port}", probe["service"]), process, tmp_path)
        listed = subprocess.run(
            [_program("temporal"), "operator", "namespace", "describe", "ayame", "--address", f"127.0.0.1:{port}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert listed.returncode == 0, listed.stderr


def _container(component: str) -> Object:
    (pod,) = (pod for pod in rendered("bundled").pods() if pod.component == component)
    return pod.spec["containers"][0]


@contextmanager
def _running(container: Object, here: dict[str, str], others: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The container's command on this machine, in its own environment: `here` says what its folders and ports are."""
    arguments = [*container["args"], *others]
    for there, instead in here.items():
        arguments = [each.replace(there, instead) for each in arguments]
    with (folder / "log").open("wb") as log:
        environment = {each["name"]: each.get("value") or KEYS[each["name"]] for each in container["env"]}
        process = subprocess.Popen([_program(container["command"][0]), *arguments], env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, f"{name} is not installed"
    return found


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False


def _until(ready, process: subprocess.Popen[bytes], folder: Path) -> None:
    give_up = time.monotonic() + WITHIN_S
    while not ready():
        assert process.poll() is None and time.monotonic() < give_up, (folder / "log").read_text(errors="replace")[-2000:]
        time.sleep(0.1)
