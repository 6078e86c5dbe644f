"""The gRPC face of a stage: run or join an action, cancel it, say what can be run."""

import asyncio
import importlib
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

import grpc
import structlog
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from kyara.stage.v1 import stage_pb2_grpc
from kyara.stage.v1.stage_pb2 import (
    Accepted,
    Action,
    Caller,
    CancelRequest,
    CancelResponse,
    DescribeRequest,
    DescribeResponse,
    RunRequest,
    RunResponse,
)
from kyara_artifacts import StoreError, get_json, open_store
from kyara_rpc import configure_logs, configure_traces, load_settings, serve_until_stopped
from kyara_stage import metrics
from kyara_stage.attempt import Attempt, AttemptLost
from kyara_stage.errors import StageError, status_of
from kyara_stage.operation import Operation, action_sha256
from kyara_stage.results import keep_result, kept_result
from kyara_stage.settings import StageSettings

COME_BACK_S = 2

log = structlog.get_logger()


def serve(service: str, settings_class: type[StageSettings], module: str) -> None:
    """Serve the `OPERATIONS` of `module` until stopped: the whole of a stage's `__main__`."""
    settings = load_settings(settings_class)
    configure_logs(service, settings.log_level)
    configure_traces(service, settings.traces)
    operations: Sequence[Operation] = importlib.import_module(module).OPERATIONS
    try:
        servicer = StageServicer(service, module, operations, settings)
        asyncio.run(servicer.serve())
    except (StoreError, ValueError, RuntimeError) as error:
        sys.exit(f"{service} cannot start: {error}")


class StageServicer(stage_pb2_grpc.StageServiceServicer):
    """Runs actions, each in a child process, at most one run of an action at a time."""

    def __init__(self, service: str, module: str, operations: Sequence[Operation], settings: StageSettings) -> None:
        self._service = service
        self._module = module
        self._operations = {operation.name: operation for operation in operations}
        self._settings = settings
        self._store = open_store(settings.store)
        self._attempts: dict[str, Attempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Serve until stopped."""
        self._keep(self._cancel_orphans())
        await serve_until_stopped(
            self._settings,
            ["kyara.stage.v1.StageService"],
            lambda server: stage_pb2_grpc.add_StageServiceServicer_to_server(self, server),
        )

    async def Run(
        self, request: RunRequest, context: grpc.aio.ServicerContext[RunRequest, RunResponse]
    ) -> AsyncIterator[RunResponse]:
        """Start the action or join it, then follow it to its end."""
        operation, action = await self._understood(request.action, context)
        sha256 = action_sha256(action)
        joined = sha256 in self._attempts
        if not joined:
            kept = await self._kept(operation, sha256, context)
            if kept is not None:
                metrics.CACHED.labels(operation.name).inc()
                yield RunResponse(seq=1, accepted=Accepted(action_sha256=sha256))
                yield kept
                return
        # No await lies between this look and the start, so two callers cannot both start it.
        attempt = self._attempts.get(sha256)
        if attempt is None:
            if len(self._attempts) >= self._settings.slots:
                metrics.REFUSED.labels(operation.name).inc()
                await _abort_slots_full(context, self._settings.slots)
            attempt = self._start(operation, action, sha256, request.caller)
        else:
            metrics.JOINED.labels(operation.name).inc()
        yield RunResponse(seq=0, accepted=Accepted(action_sha256=sha256, joined=joined))
        try:
            async for event in attempt.follow():
                yield event
        except AttemptLost as lost:
            await context.abort(lost.code, str(lost))

    async def Cancel(
        self, request: CancelRequest, context: grpc.aio.ServicerContext[CancelRequest, CancelResponse]
    ) -> CancelResponse:
        """Stop the action, if it runs here."""
        if attempt := self._attempts.get(request.action_sha256):
            log.info("cancelled", action=request.action_sha256)
            await attempt.cancel()
        return CancelResponse()

    async def Describe(
        self, request: DescribeRequest, context: grpc.aio.ServicerContext[DescribeRequest, DescribeResponse]
    ) -> DescribeResponse:
        """What this server can run."""
        return DescribeResponse(
            operations=[
                DescribeResponse.Operation(
                    stage=each.name, stage_version=each.version, params_type=each.params.DESCRIPTOR.full_name
                )
                for each in self._operations.values()
            ]
        )

    async def _understood(
        self, action: Action, context: grpc.aio.ServicerContext[RunRequest, RunResponse]
    ) -> tuple[Operation, Action]:
        """The operation asked for, and the action as this server knows it. Aborts the call when it makes no sense."""
        operation = self._operations.get(action.stage)
        if operation is None:
            known = ", ".join(sorted(self._operations))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no stage {action.stage!r} here; this server runs {known}")
            raise AssertionError("abort raises")
        if action.stage_version not in (0, operation.version):
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"{operation.name} is at version {operation.version} here, not {action.stage_version}; leave it out for this one",
            )
        try:
            # Models may have to be read for that, gigabytes of them.
            return operation, await asyncio.to_thread(operation.identified, action, self._settings.models_folder)
        except StageError as error:
            await context.abort(error.code, str(error))
            raise AssertionError("abort raises") from error
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise AssertionError("abort raises") from error

    async def _kept(
        self, operation: Operation, sha256: str, context: grpc.aio.ServicerContext[RunRequest, RunResponse]
    ) -> RunResponse | None:
        if not operation.cached:
            return None
        try:
            result = await asyncio.to_thread(kept_result, self._store, sha256)
        except StoreError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        return RunResponse(seq=2, result=result) if result else None

    def _start(self, operation: Operation, action: Action, sha256: str, caller: Caller) -> Attempt:
        attempt = self._attempts[sha256] = Attempt(self._service, self._module, operation, action, sha256)
        log.info("started", action=sha256, stage=operation.name, job=caller.job, attempt=caller.attempt)
        self._keep(self._see_through(attempt, operation, action, sha256, caller))
        return attempt

    async def _see_through(self, attempt: Attempt, operation: Operation, action: Action, sha256: str, caller: Caller) -> None:
        result: RunResponse | None = None
        began = time.monotonic()
        metrics.RUNNING.labels(operation.name).inc()
        try:
            result = await attempt.run(self._settings, caller)
            if result and result.result.status.code == code_pb2.OK and operation.cached:
                await asyncio.to_thread(keep_result, self._store, sha256, action, result.result)
            await self._count_rejected(operation, result)
        except (OSError, StoreError) as error:
            result = RunResponse()
            result.result.status.CopyFrom(status_of(error))
        finally:
            del self._attempts[sha256]
            await attempt.finish(result)
            status = result.result.status if result else None
            outcome = code_pb2.Code.Name(status.code) if status else "LOST"  # type: ignore[arg-type]
            metrics.RUNNING.labels(operation.name).dec()
            metrics.RUN.labels(operation.name, outcome).observe(time.monotonic() - began)
            log.info("ended", action=sha256, stage=operation.name, job=caller.job, code=status.code if status else None)

    async def _count_rejected(self, operation: Operation, result: RunResponse | None) -> None:
        """Count what was set aside, by the kind of its reason. A store that is away costs the count, not the result."""
        if not (result and result.result.rejected):
            return
        try:
            rejected = await asyncio.to_thread(get_json, self._store, result.result.outputs["rejected"])
        except StoreError as error:
            log.warning("what was set aside cannot be counted", stage=operation.name, error=str(error))
        else:
            for item in rejected:
                metrics.REJECTED.labels(operation.name, metrics.reason_kind(item["reason"])).inc()

    async def _cancel_orphans(self) -> None:
        """Stop attempts whose callers have been gone for longer than the grace."""
        while True:
            await asyncio.sleep(1)
            for sha256, attempt in list(self._attempts.items()):
                if attempt.listeners == 0 and time.monotonic() - attempt.idle_since > self._settings.grace_s:
                    log.warning("nobody waits for it any more", action=sha256)
                    attempt.idle_since = time.monotonic()
                    self._keep(attempt.cancel())

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the calls; the loop itself keeps only weak references to tasks."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _abort_slots_full(context: grpc.aio.ServicerContext[RunRequest, RunResponse], slots: int) -> None:
    """RESOURCE_EXHAUSTED with RetryInfo: nothing is wrong, there is only no room at this moment."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=COME_BACK_S)))
    message = f"all {slots} slots of this server are taken; come back in {COME_BACK_S} s"
    status = status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message=message, details=[detail])
    rich = rpc_status.to_status(status)
    await context.abort(rich.code, rich.details, rich.trailing_metadata)
