"""Start a real server as a process of its own, and stop it, for tests."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from kyara_local.ready import is_free
from kyara_rpc import is_serving

# No seed that a test sets may lead two processes to the same ports.
_DICE = random.SystemRandom()


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    return free_ports(1)[0]


def free_ports(count: int) -> range:
    """So many ports in a row, free at this moment."""
    while True:
        # Below those that Linux gives to outgoing connections, which could take one before it is listened on.
        first = _DICE.randrange(20000, 32768 - count)
        ports = range(first, first + count)
        if all(is_free(port) for port in ports):
            return ports


class Server:
    """A process that serves gRPC with health."""

    def __init__(self, command: Sequence[str], address: str, log: Path, environment: Mapping[str, str]) -> None:
        self.address = address
        self._command = command
        self._log = log
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process
        return self._process.pid

    def start(self, seconds: float = 180) -> None:
        """Start, and wait until it says that it serves."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        wait_until_serving(self.address, seconds, self._process)

    def kill(self) -> None:
        """Kill -9."""
        self.stop(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it and wait; nothing happens when it has ended already."""
        if self._process:
            self._process.send_signal(number)
            self._process.wait(90)
            self._process = None

    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text(errors="replace")


def wait_until_serving(address: str, seconds: float, process: subprocess.Popen[bytes]) -> None:
    """Wait for the health service at `address`. Raises RuntimeError when the process ends or time runs out."""
    until = time.monotonic() + seconds
    while not is_serving(address, seconds=1):
        if process.poll() is not None:
            raise RuntimeError(f"the server at {address} ended with {process.returncode}")
        if time.monotonic() > until:
            raise RuntimeError(f"the server at {address} did not serve within {seconds} s")
        time.sleep(0.05)


@contextmanager
def stage_server(
    module: Sequence[str], room: str, store: str, folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A stage's server as `kyara up` starts it: `python {module}` with its settings in the environment.

    One with TLS is asked at its probe port whether it serves.
    """
    address = f"127.0.0.1:{free_port()}"
    prefix = f"KYARA_{room.upper()}_"
    values = {"listen": address, "store": store, "reflection": "true", **(settings or {})}
    environment = {f"{prefix}{name.upper()}": value for name, value in values.items()}
    server = Server([sys.executable, *module], values.get("probe_listen", address), folder / f"{room}.log", environment)
    try:
        server.start()
        yield server
    finally:
        server.stop()
