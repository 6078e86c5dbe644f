"""Programs of `kyara up` are kept alive, each from the moment it is ready."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kyara_local.plan import Program
from kyara_local.ready import is_ready
from kyara_local.supervisor import CannotStart, Supervisor, written_down
from tests.servers.processes import free_port

LATE = Path(__file__).with_name("late.py")


def program(name: str, seconds: float) -> Program:
    port = free_port()
    return Program(name, [sys.executable, str(LATE), f"127.0.0.1:{port}", str(seconds)], port, "grpc")


def pid_of(state: Path, name: str) -> int | None:
    return next((row["pid"] for row in (written_down(state) or {"programs": []})["programs"] if row["name"] == name), None)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.05)


async def test_what_dies_while_another_still_comes_up_is_started_again(tmp_path: Path) -> None:
    quick, late = program("quick", 0), program("late", 6)
    supervisor = Supervisor([late, quick], tmp_path)
    with capture_logs() as said:
        starting = asyncio.create_task(supervisor.start())
        await until(lambda: any(line.get("program") == "quick" for line in said))
    try:
        killed = pid_of(tmp_path, "quick")
        assert killed and not starting.done()
        os.kill(killed, signal.SIGKILL)
        await starting
        await until(lambda: pid_of(tmp_path, "quick") not in (killed, None) and is_ready(quick))
    finally:
        await supervisor.stop()
    assert written_down(tmp_path) is None
    assert not is_ready(quick) and not is_ready(late)


async def test_what_hangs_is_ended_and_started_again(tmp_path: Path) -> None:
    hanging = program("hanging", 0)
    supervisor = Supervisor([hanging], tmp_path, deaf_s=1.5)
    await supervisor.start()
    try:
        stopped = pid_of(tmp_path, "hanging")
        assert stopped
        await asyncio.sleep(3)
        assert pid_of(tmp_path, "hanging") == stopped  # as long as it answers it is left alone
        os.kill(stopped, signal.SIGSTOP)
        await until(lambda: pid_of(tmp_path, "hanging") not in (stopped, None) and is_ready(hanging))
    finally:
        await supervisor.stop()


async def test_what_does_not_come_up_in_time_is_started_once_more(tmp_path: Path) -> None:
    late = program("late", 1)
    supervisor = Supervisor([late], tmp_path, ready_s=10)
    starting = asyncio.create_task(supervisor.start())
    await until(lambda: pid_of(tmp_path, "late") is not None)
    stopped = pid_of(tmp_path, "late")
    assert stopped
    os.kill(stopped, signal.SIGSTOP)
    try:
        await starting
        assert pid_of(tmp_path, "late") != stopped and is_ready(late)
    finally:
        await supervisor.stop()


async def test_what_never_comes_up_is_named_with_its_last_words(tmp_path: Path) -> None:
    broken = Program("broken", [sys.executable, "-c", "raise SystemExit('no such model')"], free_port(), "grpc")
    supervisor = Supervisor([program("quick", 0), broken], tmp_path)
    try:
        with pytest.raises(CannotStart, match=r"broken ended with exit code 1; no such model \(log: "):
            await supervisor.start()
    finally:
        await supervisor.stop()
