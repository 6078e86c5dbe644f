"""The process that does an action's work: `python -m kyara_stage.child`, started by the stage's server.

Its first line on standard input says what to do. Events go to the file descriptor named there, each a `RunResponse`
after its length. When standard input ends, the server is gone and so is this process: another attempt may
already run elsewhere.
"""

import asyncio
import importlib
import json
import os
import pickle
import signal
import struct
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from kyara.stage.v1.stage_pb2 import Action, Result, RunResponse
from kyara_artifacts import open_store, put_json
from kyara_rpc import configure_logs, configure_traces, span_of
from kyara_stage.context import StageContext
from kyara_stage.errors import StageError, status_of
from kyara_stage.operation import Operation, Outputs
from kyara_stage.settings import StageSettings

LENGTH = struct.Struct("!I")


def main() -> None:
    """Read the task, do it, say how it ended."""
    task = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_die_with_the_server, daemon=True).start()
    configure_logs(task["service"], task["log_level"])
    structlog.contextvars.bind_contextvars(**task["ids"])
    with os.fdopen(task["events_fd"], "wb") as pipe, tempfile.TemporaryDirectory(prefix="kyara-") as scratch:
        emit = _writer(pipe)
        try:
            emit(RunResponse(result=asyncio.run(_work(task, Path(scratch), emit))))
        except (KeyboardInterrupt, asyncio.CancelledError):
            # The server asked for it and waits for no result.
            sys.exit(128 + signal.SIGINT)
        except Exception as error:
            if not isinstance(error, StageError):
                structlog.get_logger().exception("failed")
            emit(RunResponse(result=Result(status=status_of(error))))


async def _work(task: dict[str, Any], scratch: Path, emit: Callable[[RunResponse], None]) -> Result:
    module = importlib.import_module(task["module"])
    operation: Operation = next(each for each in module.OPERATIONS if each.name == task["operation"])
    settings: StageSettings = pickle.loads(bytes.fromhex(task["settings"]))
    action = Action.FromString(bytes.fromhex(task["action"]))
    ctx = StageContext(task["ids"]["action"], open_store(settings.store), settings, scratch, emit)
    configure_traces(task["service"], settings.traces)
    with span_of(operation.name, task["trace"], **task["ids"]):
        outputs = await operation.run(ctx, operation.params_of(action), operation.inputs_of(action.inputs))
    return Result(outputs=with_rejected(ctx, outputs), rejected=len(ctx.rejected))


def with_rejected(ctx: StageContext[Any], outputs: Outputs) -> Outputs:
    """`outputs`, and what was set aside as one more when there is any."""
    if not ctx.rejected:
        return outputs
    return {**outputs, "rejected": put_json(ctx.store, "rejected", ctx.rejected)}


def _writer(pipe: BinaryIO) -> Callable[[RunResponse], None]:
    lock = threading.Lock()

    def emit(event: RunResponse) -> None:
        data = event.SerializeToString()
        with lock:
            pipe.write(LENGTH.pack(len(data)) + data)
            pipe.flush()

    return emit


def _die_with_the_server() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
