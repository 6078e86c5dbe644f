"""Keeps programs alive: starts them in order, restarts what dies or answers no more, stops all of them cleanly.

What runs is written to `programs.json` in the state folder, so that `kyara status` can tell, and so that a new
supervisor ends what a killed one left behind.
"""

import asyncio
import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import structlog

from kyara_local.plan import Program
from kyara_local.ready import is_ready

READY_WITHIN_S = 120.0
STOP_WITHIN_S = 15.0
LONGEST_PAUSE_S = 10.0
CALM_S = 30.0
"""A program that ran this long is restarted at once; one that dies sooner waits longer each time."""

ASK_EVERY_S = 5.0
DEAF_S = 60.0
"""A program that has not answered for so long hangs; one whose machine is merely busy answers sooner."""

log = structlog.get_logger()


class CannotStart(Exception):
    """A program did not come up; the message says which, and where its log is."""


class Supervisor:
    """The programs of one state folder."""

    def __init__(self, programs: list[Program], state: Path, deaf_s: float = DEAF_S, ready_s: float = READY_WITHIN_S) -> None:
        self._programs = programs
        self._deaf_s = deaf_s
        self._ready_s = ready_s
        self._state = state
        self._logs = state / "logs"
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._restarts = {program.name: 0 for program in programs}
        self._watchers: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self) -> None:
        """Start everything and wait until all of it is ready. Raises CannotStart.

        Each is kept alive from the moment it is ready, for it may be at work while another still comes up.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        for program in self._programs:
            await self._spawn(program)
        await asyncio.gather(*(self._bring_up(program) for program in self._programs))

    async def stop(self) -> None:
        """Stop everything, last started first; what does not end in time is killed."""
        self._stopping = True
        for watcher in self._watchers:
            watcher.cancel()
        for program in reversed(self._programs):
            if process := self._running.get(program.name):
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
        await asyncio.gather(*(self._end(process) for process in self._running.values()))
        (self._state / "programs.json").unlink(missing_ok=True)

    async def _bring_up(self, program: Program) -> None:
        if not await self._is_ready_in_time(program):
            # Ray's head may come up without the agent that takes its jobs, and stays so.
            log.warning("does not answer, starts again", program=program.name, seconds=self._ready_s)
            _kill_group(self._running[program.name].pid)
            await self._spawn(program)
            if not await self._is_ready_in_time(program):
                raise self._not_up(program, "does not answer")
        log.info("ready", program=program.name, address=program.address)
        self._watchers.append(asyncio.create_task(self._watch(program)))

    async def _spawn(self, program: Program) -> None:
        with (self._logs / f"{program.name}.log").open("ab") as output:
            self._running[program.name] = await asyncio.create_subprocess_exec(
                *program.command,
                env={**os.environ, **program.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, and the group can be ended as one
            )
        self._write_down()

    async def _is_ready_in_time(self, program: Program) -> bool:
        """Wait until a program answers, or should have. Raises CannotStart when it ends."""
        process = self._running[program.name]
        until = time.monotonic() + self._ready_s
        while not await asyncio.to_thread(is_ready, program):
            if process.returncode is not None:
                raise self._not_up(program, f"ended with exit code {process.returncode}")
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.1)
        return True

    def _not_up(self, program: Program, how: str) -> CannotStart:
        log_file = self._logs / f"{program.name}.log"
        return CannotStart(f"{program.name} {how}; {_last_line(log_file)} (log: {log_file})")

    async def _watch(self, program: Program) -> None:
        pause = 0.2
        while True:
            began = time.monotonic()
            code = await self._ended_or_deaf(program)
            if self._stopping:
                return
            pause = 0.2 if time.monotonic() - began > CALM_S else min(pause * 2, LONGEST_PAUSE_S)
            log.warning("died, starts again", program=program.name, code=code, pause_s=pause)
            await asyncio.sleep(pause)
            self._restarts[program.name] += 1
            await self._spawn(program)

    async def _ended_or_deaf(self, program: Program) -> int:
        """Wait until the program dies, or answers no more and is killed; its exit code. Nothing of it is left."""
        process = self._running[program.name]
        ended, deaf = asyncio.create_task(process.wait()), asyncio.create_task(self._deaf(program))
        try:
            await asyncio.wait({ended, deaf}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                log.warning("does not answer, is killed", program=program.name, seconds=self._deaf_s)
            _kill_group(process.pid)
            return await ended
        finally:
            deaf.cancel()
            ended.cancel()

    async def _deaf(self, program: Program) -> None:
        """Wait until the program has not answered for `deaf_s`; one that starts has longer for its first answer."""
        heard = time.monotonic() + self._ready_s
        while time.monotonic() - heard < self._deaf_s:
            await asyncio.sleep(min(ASK_EVERY_S, self._deaf_s / 3))
            if await asyncio.to_thread(is_ready, program):
                heard = time.monotonic()

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
        _kill_group(process.pid)

    def _write_down(self) -> None:
        rows = [
            {
                "name": program.name,
                "address": program.address,
                "pid": process.pid,
                "started": _started(process.pid),
                "restarts": self._restarts[program.name],
            }
            for program in self._programs
            if (process := self._running.get(program.name)) and process.returncode is None
        ]
        part = self._state / ".programs.json"
        part.write_text(json.dumps({"supervisor": os.getpid(), "programs": rows}))
        part.replace(self._state / "programs.json")


def written_down(state: Path) -> dict[str, Any] | None:
    """What runs, or ran, in this state folder: the supervisor's pid and its programs."""
    try:
        return json.loads((state / "programs.json").read_text())
    except FileNotFoundError:
        return None


def end_leftovers(state: Path) -> None:
    """End programs that a killed supervisor of this state folder left behind."""
    for row in (written_down(state) or {"programs": []})["programs"]:
        if row["started"] and _started(row["pid"]) == row["started"]:
            log.warning("ending what an earlier run left", program=row["name"], pid=row["pid"])
            _kill_group(row["pid"])


def _started(pid: int) -> float | None:
    """When the process began: with its number, this names it for good."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it wrote nothing"
