"""One attempt at a stage: open its stream, pass on its progress, bring back its result.

Only the workflow retries. A stage whose slots are full is waited for inside the attempt, since nothing failed. A
stream that ends, breaks or falls silent is no result: the attempt ends, and the next one joins the work where it
still runs, or starts from its last checkpoint.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

import grpc
import structlog
from google.rpc import code_pb2, error_details_pb2
from grpc_status import rpc_status
from temporalio import activity
from temporalio.exceptions import ApplicationError

from kyara.jobs.v1.jobs_pb2 import JobState, StageStatus
from kyara.stage.v1 import stage_pb2_grpc
from kyara.stage.v1.stage_pb2 import Action, Caller, CancelRequest, Result, RunRequest, RunResponse
from kyara_jobs import metrics
from kyara_rpc import Tls, carried_trace, connect

BEAT_S = 3.0
"""How often the engine hears of the attempt, which is also how soon a cancellation gets here."""
REACH_S = 20.0
"""How long an attempt waits for its server to be there."""
SILENCE_S = 45.0
"""A running stage says something every 15 s; after this long it is taken for dead."""
BROKEN = frozenset({"INTERNAL", "UNKNOWN"})
BROKEN_ATTEMPTS = 3
"""An error of the stage's own program seldom goes away, so it is tried less often than a server that is away."""
TRY_AGAIN = BROKEN | {"UNAVAILABLE", "ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "DATA_LOSS"}

log = structlog.get_logger()


class StageServers:
    """Where each room's stage server is; keeps one channel to each."""

    def __init__(self, addresses: Mapping[str, str], tls: Tls | None) -> None:
        self._addresses = addresses
        self._tls = tls
        self._channels: dict[tuple[object, ...], grpc.aio.Channel] = {}

    def address(self, stage: str) -> str:
        """Address of the server that runs `stage`. Raises ApplicationError when settings name none."""
        room = stage.partition(".")[0]
        if room not in self._addresses:
            known = ", ".join(sorted(self._addresses)) or "none"
            message = f"no address is set for stage server {room!r} (set KYARA_JOBS_STAGES__{room.upper()}); known: {known}"
            raise ApplicationError(message, type="FAILED_PRECONDITION", non_retryable=True)
        return self._addresses[room]

    def stub(self, stage: str) -> "stage_pb2_grpc.StageServiceAsyncStub":
        """Client of the server that runs `stage`."""
        address = self.address(stage)
        # A renewed certificate needs a channel of its own. The one before it stays, for calls still run over it.
        key = (address, self._tls.renewal() if self._tls else None)
        if key not in self._channels:
            self._channels[key] = connect(address, self._tls.channel_credentials() if self._tls else None)
        return stage_pb2_grpc.StageServiceStub(self._channels[key])


class StageCall:
    """One attempt, inside an activity. `status` is what the engine, and through it the user, sees of it."""

    def __init__(self, servers: StageServers, action: Action, caller: Caller, subject: str) -> None:
        self._attempt = activity.info().attempt
        self._where = f"{action.stage} at {servers.address(action.stage)}"
        self._stub = servers.stub(action.stage)
        self._request = RunRequest(action=action, caller=Caller(job=caller.job, attempt=str(self._attempt)))
        self.status = StageStatus(stage=action.stage, subject=subject, state=JobState.JOB_STATE_RUNNING, attempt=self._attempt)
        self._asked = time.monotonic()
        self._log = log.bind(job=caller.job, stage=action.stage, subject=subject, attempt=self._attempt)

    async def result(self) -> StageStatus:
        """The stage's good end. Raises ApplicationError for any other."""
        self._log.info("stage called")
        try:
            while True:
                try:
                    return await self._follow()
                except grpc.aio.AioRpcError as error:
                    delay = _retry_delay(error)
                    if delay is None:
                        raise self._failed(error.code().name, error.details() or "") from error
                    await self._wait_for_a_slot(delay)
        except asyncio.CancelledError:
            await self._stop()
            raise

    async def _follow(self) -> StageStatus:
        async for event in self._events():
            match event.WhichOneof("event"):
                case "accepted":
                    self.status.action_sha256 = event.accepted.action_sha256
                    metrics.QUEUED.labels(self.status.stage).observe(time.monotonic() - self._asked)
                case "progress":
                    self.status.progress.CopyFrom(event.progress)
                case "result":
                    return self._ended(event.result)
            activity.heartbeat(self.status)
        raise self._failed("UNAVAILABLE", "its stream ended without a result")

    async def _events(self) -> AsyncIterator[RunResponse]:
        """The stream's events, with heartbeats to the engine also while there is none."""
        call = self._stub.Run(self._request, wait_for_ready=True, metadata=tuple(carried_trace().items()))
        patience = REACH_S
        heard = time.monotonic()
        reading = asyncio.ensure_future(call.read())
        try:
            while True:
                activity.heartbeat(self.status)
                await asyncio.wait({reading}, timeout=BEAT_S)
                if reading.done():
                    event = reading.result()
                    if not isinstance(event, RunResponse):
                        return
                    heard, patience = time.monotonic(), SILENCE_S
                    yield event
                    reading = asyncio.ensure_future(call.read())
                elif time.monotonic() - heard > patience:
                    raise self._failed("UNAVAILABLE", f"nothing was heard of it for {patience:.0f} s; is it running?")
        finally:
            reading.cancel()
            call.cancel()

    def _ended(self, result: Result) -> StageStatus:
        code = code_pb2.Code.Name(code_pb2.Code.ValueType(result.status.code))
        if code != "OK":
            raise self._failed(code, result.status.message)
        self.status.state = JobState.JOB_STATE_SUCCEEDED
        self.status.cached = result.cached
        self.status.rejected = result.rejected
        self.status.seconds = result.seconds
        self.status.gpus = result.gpus
        for name, output in result.outputs.items():
            self.status.outputs[name].CopyFrom(output)
        self._log.info("stage done", cached=result.cached, seconds=result.seconds, action=self.status.action_sha256)
        return self.status

    def _failed(self, code: str, message: str) -> ApplicationError:
        again = code in TRY_AGAIN and (code not in BROKEN or self._attempt < BROKEN_ATTEMPTS)
        self._log.warning("stage failed", code=code, error=message, again=again)
        # What the user did wrong needs no address; what is broken does.
        text = f"{self._where}: {message}" if code in TRY_AGAIN else message
        return ApplicationError(text, type=code, non_retryable=not again)

    async def _wait_for_a_slot(self, delay_s: float) -> None:
        self.status.progress.Clear()
        self.status.progress.phase = "waiting for a free slot"
        until = time.monotonic() + delay_s
        while (left := until - time.monotonic()) > 0:
            activity.heartbeat(self.status)
            await asyncio.sleep(min(left, BEAT_S))

    async def _stop(self) -> None:
        """Stop the stage when its job was cancelled; when only this worker goes, another one joins the work."""
        details = activity.cancellation_details()
        if not (details and details.cancel_requested and self.status.action_sha256):
            return
        try:
            await self._stub.Cancel(CancelRequest(action_sha256=self.status.action_sha256), timeout=10)
            self._log.info("stage cancelled")
        except grpc.aio.AioRpcError as error:
            self._log.warning("stage could not be cancelled; it stops after its grace", error=error.details())


def _retry_delay(error: grpc.aio.AioRpcError) -> float | None:
    """Seconds after which a full server asks to be called again; None when that is not what `error` says."""
    status = rpc_status.from_call(error) if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED else None  # type: ignore[arg-type]
    for detail in status.details if status else ():
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return info.retry_delay.ToTimedelta().total_seconds()
    return None
