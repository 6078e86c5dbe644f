"""The processes of a demo: Kyara itself, and somebody who seeds the episode."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kyara_cli.exits import CommandError, Exit
from kyara_rpc import is_serving

UP_WITHIN_S = 180.0
STOP_WITHIN_S = 40.0


@contextmanager
def kyara_up(state: Path, base_port: int) -> Iterator[str]:
    """`kyara up` on `state` for the length of the block; gives the address of jobs. Raises CommandError."""
    state.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "kyara_local", "--state", str(state), "--base-port", str(base_port)]
    log_file = state / "up.log"
    with log_file.open("wb") as log, _process([*command, "--private-peers", "true"], log) as process:
        _wait_until_up(process, f"127.0.0.1:{base_port}", log_file)
        yield f"127.0.0.1:{base_port}"


@contextmanager
def seeded(file: Path, port: int) -> Iterator[str]:
    """A BitTorrent seeder of `file` on the loopback interface; gives the magnet link."""
    command = [sys.executable, "-m", "kyara_fetcher.seed", str(file), "--listen", f"127.0.0.1:{port}"]
    with _process(command, subprocess.PIPE) as process:
        assert process.stdout
        magnet = process.stdout.readline().decode().strip()
        if not magnet.startswith("magnet:"):
            raise CommandError(Exit.DID_NOT_START, f"the seeder of {file} did not start on port {port}")
        yield magnet


@contextmanager
def _process(command: list[str], output) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=output, stderr=None if output == subprocess.PIPE else output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_up(process: subprocess.Popen[bytes], address: str, log_file: Path) -> None:
    until = time.monotonic() + UP_WITHIN_S
    while not is_serving(address):
        if process.poll() is not None:
            said = log_file.read_text(errors="replace").strip().splitlines()[-1:]
            raise CommandError(Exit(process.returncode), said[0] if said else "kyara up ended at once")
        if time.monotonic() > until:
            raise CommandError(Exit.DID_NOT_START, f"Kyara did not come up within {UP_WITHIN_S:.0f} s; see {log_file}")
        time.sleep(0.2)
