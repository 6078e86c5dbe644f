"""A Ray head for tests: the real one, on free ports, gone afterwards."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kyara_rayjobs.head import HeadPorts, head_command, head_is_ready, ray_environment
from tests.servers.processes import free_ports

STARTS, START_S, STOP_S = 3, 120.0, 5.0


@dataclass(frozen=True)
class Head:
    """A head that runs."""

    address: str
    """Of the dashboard."""
    environment: dict[str, str]
    """What a process needs to talk to it."""
    pid: int


@contextlib.contextmanager
def ray_head(num_cpus: int = 2) -> Iterator[Head]:
    """A head for the time of the `with`; this process can talk to it too."""
    with tempfile.TemporaryDirectory(prefix="kyr-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        environment = ray_environment(Path(folder) / "token")
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        process, address = _started(Path(folder), num_cpus, environment)
        try:
            yield Head(address, environment, process.pid)
        finally:
            _stop(process)
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def _started(folder: Path, num_cpus: int, environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], str]:
    """A head that is ready. One that ends by itself is started again, as `kyara up` does: Ray waits 30 s for its node."""
    log = folder / "head.log"
    for _ in range(STARTS):
        ports = HeadPorts(*free_ports(4))
        address, agent = (f"http://127.0.0.1:{port}" for port in (ports.dashboard, ports.agent))
        command = head_command(ports, folder, num_cpus)
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=os.environ, stdout=output, stderr=output, start_new_session=True)
        give_up = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < give_up:
            # The dashboard answers before `ray start` has decided whether its node came in time.
            if "Ray runtime started" in log.read_text() and head_is_ready(address, agent, environment):
                return process, address
            time.sleep(0.2)
        _stop(process)
    raise RuntimeError(f"no Ray head came up in {STARTS} tries; the last wrote:\n{log.read_text()[-3000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
