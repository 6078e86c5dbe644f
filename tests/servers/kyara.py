"""`kyara up` for tests: the whole of Kyara on free ports, whose parts can be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from kyara_artifacts import Store, open_store
from kyara_rpc import is_serving
from tests.servers.processes import free_port, free_ports

UP_WITHIN_S = 240
PORTS = 30


class Kyara:
    """A running `kyara up`."""

    def __init__(self, state: Path, store: str = "", inference: str = "") -> None:
        self.state = state
        self._inference = inference
        self.base_port = free_ports(PORTS)[0]
        self.address = f"127.0.0.1:{self.base_port}"
        self.store_url = store or f"file://{state.resolve()}/store"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def store(self) -> Store:
        """The store of its jobs."""
        return open_store(self.store_url)

    def start(self) -> None:
        """Start and wait until everything serves."""
        self.state.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "kyara_local", "--state", str(self.state), "--base-port", str(self.base_port)]
        command += ["--private-peers", "true", "--store", self.store_url, "--inference", self._inference]
        with (self.state / "up.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + UP_WITHIN_S
        while not is_serving(self.address):
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.2)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop the supervisor; its exit code."""
        assert self._process
        self._process.send_signal(number)
        return self._process.wait(60)

    def log(self) -> str:
        """What the supervisor wrote."""
        return (self.state / "up.log").read_text(errors="replace")[-3000:]

    def pid_of(self, program: str) -> int:
        """The pid of a program at this moment."""
        rows = json.loads((self.state / "programs.json").read_text())["programs"]
        return next(row["pid"] for row in rows if row["name"] == program)

    def kill(self, program: str) -> None:
        """Kill -9 a program, and wait until the supervisor has started another."""
        pid = self.pid_of(program)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.pid_of(program) != pid, 30)

    def works_for_s(self, program: str) -> float:
        """Seconds that a stage's server has been at work on its oldest action; 0 when it has none."""
        actions = psutil.Process(self.pid_of(program)).children()
        began = [each.create_time() for each in actions if "kyara_stage.child" in _title(each)]
        return time.time() - min(began) if began else 0.0

    def kill_ray_worker(self) -> None:
        """Kill -9 the process in which Ray runs the training."""
        head = psutil.Process(self.pid_of("ray"))
        workers: list[psutil.Process] = []

        def found() -> bool:
            workers[:] = [each for each in head.children(recursive=True) if "ray::_train" in _title(each)]
            return bool(workers)

        wait_for(found, 30)
        workers[0].send_signal(signal.SIGKILL)

    def cli(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `kyara ...` against it."""
        environment = {"KYARA_ADDRESS": self.address, "KYARA_STORE": self.store_url}
        return run_cli(*arguments, environment=environment, seconds=seconds)

    def submit(self, *arguments: str) -> str:
        """Submit a job without watching it; its id."""
        done = self.cli("submit", *arguments, "--no-watch", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["id"]

    def job(self, job_id: str) -> dict[str, Any]:
        """A job as it stands."""
        done = self.cli("show", job_id, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def ended(self, job_id: str, seconds: float = 400) -> dict[str, Any]:
        """The job, once it has ended."""
        self.cli("watch", job_id, "--json", seconds=seconds)
        return self.job(job_id)


def run_cli(*arguments: str, environment: Mapping[str, str], seconds: float = 300) -> subprocess.CompletedProcess[str]:
    """Run `kyara ...` with this beside the environment."""
    command = [str(Path(sys.executable).parent / "kyara"), *arguments]
    whole = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run(command, env=whole, capture_output=True, text=True, timeout=seconds, check=False)


@contextmanager
def kyara_up(state: Path, store: str = "", inference: str = "") -> Iterator[Kyara]:
    """The whole of Kyara for the length of the block."""
    kyara = Kyara(state, store, inference)
    kyara.start()
    try:
        yield kyara
    finally:
        kyara.stop()


@contextmanager
def seeder(file: Path) -> Iterator[str]:
    """A BitTorrent seeder of `file`; gives the magnet link."""
    command = [sys.executable, "-m", "kyara_fetcher.seed", str(file), "--listen", f"127.0.0.1:{free_port()}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.terminate()


def outputs_of(job: dict[str, Any]) -> dict[str, str]:
    """Digest of every output of every stage of a job: equal jobs have equal ones."""
    return {
        f"{stage['stage']}/{stage.get('subject', '')}/{name}": output["digest"]["sha256"]
        for stage in job["stages"]
        for name, output in stage.get("outputs", {}).items()
        # What a source was pinned to may name the seeder's port, and a receipt names the folder.
        if name not in ("pinned", "receipt")
    }


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until `condition` holds. Raises AssertionError when time runs out."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
