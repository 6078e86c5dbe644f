"""A Ray head on this machine, as one process in the foreground whose children go with it.

`kyara up` supervises it, and tests start one for a session.
"""

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

OBJECT_STORE_BYTES = 200_000_000
"""Blobs go through Kyara's store; Ray's own only carries calls."""
LONGEST_FOLDER = 40
"""Ray's socket paths add about 65 characters, and a Unix socket's path holds 107."""
PATIENCE = {
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "180",
    "RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT": "180",
    "RAY_agent_register_timeout_ms": "180000",
    "RAY_health_check_failure_threshold": "30",
    "RAY_health_check_timeout_ms": "60000",
}
"""A machine of two cores that also trains is slow to answer; with Ray's own limits of 30 s its head gives up."""


@dataclass(frozen=True)
class HeadPorts:
    """Four free ports: every one has a fixed default, which another Ray on the machine may hold."""

    head: int
    dashboard: int
    client: int
    agent: int


def head_command(ports: HeadPorts, folder: Path, num_cpus: int, num_gpus: int = 0) -> list[str]:
    """The command line of a head. SIGTERM ends it and all its children within seconds (exit code 1).

    Start it in a session of its own, so that what a kill -9 leaves behind can be ended by process group.
    Raises ValueError when `folder` is too long for the sockets that Ray puts in it.
    """
    if len(str(folder)) > LONGEST_FOLDER:
        raise ValueError(f"Ray's folder {folder} is longer than {LONGEST_FOLDER} characters: its sockets would not fit")
    ray = Path(sys.executable).parent / "ray"
    return [
        str(ray),
        "start",
        "--head",
        "--block",
        "--node-ip-address=127.0.0.1",
        f"--port={ports.head}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={ports.dashboard}",
        f"--ray-client-server-port={ports.client}",
        f"--dashboard-agent-listen-port={ports.agent}",
        "--include-dashboard=true",
        f"--temp-dir={folder}",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        f"--num-cpus={num_cpus}",
        f"--num-gpus={num_gpus}",
        "--disable-usage-stats",
        "--no-monitor",
        "--include-log-monitor=false",
    ]


def ray_environment(token_file: Path) -> dict[str, str]:
    """What the head, and every service that talks to it, must have in its environment.

    Writes the token file when it is not there. `python` in a job's entrypoint is the interpreter that runs this.
    """
    if not token_file.exists():
        token_file.touch(mode=0o600)
        token_file.write_text(secrets.token_hex(32))
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray's default of 15 leaves training nearly nothing of a machine that does anything else.
        "RAY_worker_niceness": "0",
        # Torch's threads would wait for one another on the processor, and keep from it the very threads that they wait for:
        # a step took 10 s in place of 1 s on two cores that others used too. The bytes are the same.
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
        **PATIENCE,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def head_is_ready(dashboard: str, agent: str, environment: Mapping[str, str]) -> bool:
    """Whether the head whose dashboard and agent are at these addresses takes jobs, and has a node to run them on."""
    token = Path(environment["RAY_AUTH_TOKEN_PATH"]).read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    try:
        with httpx.Client(base_url=dashboard, headers=headers, timeout=5, trust_env=False) as client:
            # The dashboard answers before the node has joined, and leaves again when the node does not join.
            nodes = client.get("/nodes", params={"view": "summary"}).raise_for_status().json()["data"]["summary"]
            # The dashboard hands every job to the agent, and says nothing of it when none came up.
            return bool(nodes) and client.get("/api/jobs/").is_success and client.get(f"{agent}/api/healthz").is_success
    except (httpx.HTTPError, ValueError, KeyError):
        return False
