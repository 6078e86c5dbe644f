"""A Ray cluster whose nodes come and go: Ray's own autoscaler over nodes that are processes of this machine.

Its head has no CPU and no graphics card, as the chart's. A worker has one of each; the card is a number that Ray counts
with. Work that asks for a card therefore brings nodes up from none, as on KubeRay.
"""

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FakeMultiNodeProvider

from kyara_rayjobs.head import HeadPorts, head_command, head_is_ready, ray_environment
from tests.servers.processes import free_ports

START_S, STOP_S = 120.0, 20.0
WORKER, HEAD = "worker", "ray.head.default"
COMMANDS = (
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "initialization_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)
"""Of a configuration's necessary parts, those that a node which is only a process has no use for."""
AUTOSCALER = {
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",  # as KubeRay's, which the chart asks for
    "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    # Ray's own limits: a node that is gone is given up after about 15 s.
    "RAY_health_check_failure_threshold": "5",
    "RAY_health_check_timeout_ms": "10000",
}


class Cluster:
    """A cluster of at most `most` workers, each of which goes after `idle_s` seconds without work."""

    def __init__(self, folder: Path, most: int, idle_s: float) -> None:
        self._folder = folder
        self._ports = HeadPorts(*free_ports(4))
        self._config = folder / "autoscaler.json"
        self._config.write_text(json.dumps(_config(self._ports.head, most, idle_s)))
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"http://127.0.0.1:{self._ports.dashboard}"
        self.agent = f"http://127.0.0.1:{self._ports.agent}"
        self.environment = {**ray_environment(folder / "token"), **AUTOSCALER}

    def start(self) -> None:
        """Start the head, and wait until it takes jobs."""
        command = head_command(self._ports, self._folder, num_cpus=0)
        command.remove("--no-monitor")
        command.append(f"--autoscaling-config={self._config}")
        log = self._folder / "head.log"
        with log.open("wb") as output:
            environment = {**os.environ, **self.environment}
            self._process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        give_up = time.monotonic() + START_S
        while not ("Ray runtime started" in log.read_text() and head_is_ready(self.address, self.agent, self.environment)):
            assert self._process.poll() is None and time.monotonic() < give_up, log.read_text()[-3000:]
            time.sleep(0.2)

    def kill(self) -> None:
        """Kill -9 the head and all nodes."""
        assert self._process
        _kill(_tree(psutil.Process(self._process.pid)))
        self._process.wait()

    def stop(self) -> None:
        """Stop it in order, and kill what stays."""
        assert self._process
        tree = _tree(psutil.Process(self._process.pid))
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        _kill(tree)
        self._process.wait()

    def kill_node(self, node_id: str) -> None:
        """Kill -9 a node with all that runs on it, as when its machine loses power."""
        assert self._process
        processes = psutil.Process(self._process.pid).children(recursive=True)
        raylet = next(each for each in processes if each.name() == "raylet" and node_id in _environment(each))
        _kill(_tree(raylet))

    def head_processes(self) -> list[psutil.Process]:
        """Those of the head. The nodes' are children of the autoscaler, which starts them."""
        assert self._process
        head = psutil.Process(self._process.pid)
        direct = head.children()
        autoscaler = [each for each in direct if any("monitor.py" in part for part in each.cmdline())]
        return [head, *autoscaler, *(each for child in direct if child not in autoscaler for each in _tree(child))]

    def nodes(self) -> list[dict[str, Any]]:
        """Ray's record of every worker node that there is or was."""
        return [node for node in self._listed("nodes") if not node["is_head_node"]]

    def tasks(self, name: str) -> list[dict[str, Any]]:
        """Ray's record of every attempt at a task of this name."""
        return [task for task in self._listed("tasks") if task["name"] == name]

    def _listed(self, what: str) -> list[dict[str, Any]]:
        token = Path(self.environment["RAY_AUTH_TOKEN_PATH"]).read_text()
        with httpx.Client(
            base_url=self.address, headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False
        ) as http:
            answer = http.get(f"/api/v0/{what}", params={"detail": "1", "limit": "1000"}).raise_for_status().json()
        return answer["data"]["result"]["result"]


@contextlib.contextmanager
def cluster_of(most: int, idle_s: float) -> Iterator[Cluster]:
    """A cluster for the time of the `with`; this process can talk to it too."""
    with tempfile.TemporaryDirectory(prefix="kyr-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        cluster = Cluster(Path(folder), most, idle_s)
        before = {name: os.environ.get(name) for name in cluster.environment}
        os.environ.update(cluster.environment)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def _config(port: int, most: int, idle_s: float) -> dict[str, Any]:
    types = {
        HEAD: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        WORKER: {"resources": {"CPU": 1, "GPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": most},
    }
    provider = {
        # By name, since the wheel lacks the defaults that the type `fake_multinode` reads.
        "type": "external",
        "module": f"{FakeMultiNodeProvider.__module__}.{FakeMultiNodeProvider.__qualname__}",
        "gcs_address": f"127.0.0.1:{port}",
        "launch_multiple": True,
        "disable_node_updaters": True,
        "head_node_id": FAKE_HEAD_NODE_ID,
    }
    return {
        "cluster_name": "scaling",
        "max_workers": most,
        "idle_timeout_minutes": idle_s / 60,
        "provider": provider,
        "available_node_types": types,
        "head_node_type": HEAD,
        "auth": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        **{key: [] for key in COMMANDS},
    }


def _tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _kill(processes: Sequence[psutil.Process]) -> None:
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(processes, STOP_S)


def _environment(process: psutil.Process) -> str:
    return process.environ().get("RAY_OVERRIDE_NODE_ID_FOR_TESTING", "")
