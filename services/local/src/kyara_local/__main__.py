"""`python -m kyara_local`: run Kyara on this machine until SIGTERM or Ctrl-C.

Exit codes: 0 stopped as asked, 2 wrong settings, 3 a port is in use, 4 a program did not start, 5 already running.
"""

import asyncio
import fcntl
import signal
import sys
from pathlib import Path
from typing import IO

import structlog

from kyara_local.plan import programs
from kyara_local.ready import taken_ports
from kyara_local.settings import LocalSettings
from kyara_local.supervisor import CannotStart, Supervisor, end_leftovers
from kyara_rpc import configure_logs, load_settings

PORT_IN_USE, DID_NOT_START, ALREADY_RUNNING = 3, 4, 5


def main() -> int:
    """Run until stopped; the exit code."""
    settings = load_settings(LocalSettings)
    configure_logs("local", settings.log_level)
    settings.state.mkdir(parents=True, exist_ok=True)
    lock = (settings.state / "lock").open("w")
    if not _locked(lock):
        return _said(ALREADY_RUNNING, f"Kyara already runs on {settings.state}; `kyara status` shows it")
    end_leftovers(settings.state)
    wanted = programs(settings)
    if taken := taken_ports(wanted):
        ports = ", ".join(f"{port} ({name})" for name, port in taken)
        return _said(PORT_IN_USE, f"in use by another program: port {ports}; stop it, or choose others with --base-port")
    return asyncio.run(_run(Supervisor(wanted, settings.state.resolve()), settings.state))


async def _run(supervisor: Supervisor, state: Path) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    starting = asyncio.create_task(supervisor.start())
    asked = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([starting, asked], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            structlog.get_logger().info("Kyara is up", state=str(state))
            await asked
    except CannotStart as error:
        return _said(DID_NOT_START, str(error))
    finally:
        starting.cancel()
        await supervisor.stop()
    return 0


def _locked(file: IO[str]) -> bool:
    """Hold the state folder until this process ends, however it ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _said(code: int, message: str) -> int:
    print(f"kyara up: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
