"""One attempt at an action: its child process, the events so far, and who listens."""

import asyncio
import contextlib
import json
import os
import pickle
import signal
import sys
import time
from collections.abc import AsyncIterator

import grpc
import structlog
from google.protobuf.timestamp_pb2 import Timestamp

from kyara.stage.v1.stage_pb2 import Action, Caller, RunResponse
from kyara_rpc import carried_trace
from kyara_stage.child import LENGTH
from kyara_stage.metrics import ProgressCount
from kyara_stage.operation import Operation
from kyara_stage.settings import StageSettings

HEARTBEAT_S = 10.0
CANCEL_STEPS_S = (2.0, 8.0)

log = structlog.get_logger()


class AttemptLost(Exception):
    """The attempt ended without a result."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Attempt:
    """A running action. Any number of callers follow it; each sees the latest event, and all see the end."""

    def __init__(self, service: str, module: str, operation: Operation, action: Action, sha256: str) -> None:
        self._service = service
        self._module = module
        self._operation = operation
        self._action = action
        self._sha256 = sha256
        self._changed = asyncio.Condition()
        self._trace = carried_trace()
        self._counted = ProgressCount(operation.name)
        self._events: list[RunResponse] = []
        """The latest event of each kind, in the order they came."""
        self._seq = 0
        self._lost: AttemptLost | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._cancelled = False
        self.listeners = 0
        self.idle_since = time.monotonic()
        self.ended = False

    async def run(self, settings: StageSettings, caller: Caller) -> RunResponse | None:
        """Do the work in a child process; the result event, or None when it ended without one."""
        started = time.monotonic()
        result: RunResponse | None = None
        read_fd, write_fd = os.pipe()
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "kyara_stage.child", stdin=asyncio.subprocess.PIPE, pass_fds=(write_fd,),
                start_new_session=True,
            )  # fmt: skip
            os.close(write_fd)
            assert process.stdin
            process.stdin.write(self._task(settings, caller, write_fd))
            async for event in _events_from(read_fd):
                if event.HasField("result"):
                    event.result.seconds = time.monotonic() - started
                    event.result.gpus = settings.gpus
                    result = event
                else:
                    self._counted.add(event.progress)
                    await self._publish(event)
            code = await process.wait()
        except BaseException:
            self._kill_group(signal.SIGKILL)
            raise
        self._kill_group(signal.SIGKILL)  # what the child may have left behind
        if result is None:
            await self._lose(code)
        return result

    async def finish(self, result: RunResponse | None) -> None:
        """Give the end to everybody who listens; called once the result is kept."""
        if result is not None:
            await self._publish(result)
        async with self._changed:
            self.ended = True
            self._changed.notify_all()

    async def follow(self) -> AsyncIterator[RunResponse]:
        """The latest events, then each new one, and a heartbeat when there is none; ends with the result.

        Raises AttemptLost when the attempt ends without a result.
        """
        self.listeners += 1
        seen = 0
        try:
            while True:
                fresh = [event for event in self._events if event.seq > seen]
                for event in fresh:
                    seen = event.seq
                    yield event
                if self.ended:
                    if self._lost:
                        raise self._lost
                    return
                if not fresh and not await self._change_within(HEARTBEAT_S, seen):
                    yield self._heartbeat()
        finally:
            self.listeners -= 1
            self.idle_since = time.monotonic()

    async def cancel(self) -> None:
        """Stop the child: twice politely, so that it can clean up after itself, then at once."""
        self._cancelled = True
        for seconds in CANCEL_STEPS_S:
            if self._process is None or self._process.returncode is not None:
                return
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), seconds)
        self._kill_group(signal.SIGKILL)

    async def _publish(self, event: RunResponse) -> None:
        async with self._changed:
            self._seq += 1
            event.seq = self._seq
            event.time.CopyFrom(_now())
            kind = event.WhichOneof("event")
            self._events = [old for old in self._events if old.WhichOneof("event") != kind] + [event]
            self._changed.notify_all()

    async def _change_within(self, seconds: float, seen: int) -> bool:
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait_for(lambda: self.ended or self._seq > seen), seconds)
                return True
        return False

    def _heartbeat(self) -> RunResponse:
        """The last progress again, with the present time."""
        event = RunResponse()
        for old in self._events:
            if old.HasField("progress"):
                event.CopyFrom(old)
        if not event.HasField("progress"):
            event.progress.phase = "starting"
        event.time.CopyFrom(_now())
        return event

    async def _lose(self, code: int) -> None:
        if self._cancelled:
            self._lost = AttemptLost(grpc.StatusCode.CANCELLED, f"{self._operation.name} was cancelled")
            return
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        message = f"the process of {self._operation.name} {how}; another attempt goes on from its last checkpoint"
        log.error("child lost", action=self._sha256, code=code)
        self._lost = AttemptLost(grpc.StatusCode.ABORTED, message)

    def _kill_group(self, number: signal.Signals) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _task(self, settings: StageSettings, caller: Caller, events_fd: int) -> bytes:
        task = {
            "service": self._service,
            "module": self._module,
            "operation": self._operation.name,
            "action": self._action.SerializeToString().hex(),
            # Not as JSON, which would hide the secrets among them from the child too.
            "settings": pickle.dumps(settings).hex(),
            "log_level": settings.log_level,
            "events_fd": events_fd,
            "trace": self._trace,
            "ids": {
                "job": caller.job,
                "stage": self._operation.name,
                "attempt": caller.attempt,
                "action": self._sha256,
            },
        }
        return json.dumps(task).encode() + b"\n"


async def _events_from(read_fd: int) -> AsyncIterator[RunResponse]:
    reader = asyncio.StreamReader()
    pipe = os.fdopen(read_fd, "rb", 0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        while True:
            head = await reader.readexactly(LENGTH.size)
            yield RunResponse.FromString(await reader.readexactly(LENGTH.unpack(head)[0]))
    except asyncio.IncompleteReadError:
        return
    finally:
        transport.close()


def _now() -> Timestamp:
    now = Timestamp()
    now.GetCurrentTime()
    return now
