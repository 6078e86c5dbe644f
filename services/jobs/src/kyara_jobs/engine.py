"""Jobs as Temporal has them: start, look, cancel, name."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from kyara.jobs.v1.jobs_pb2 import Job, JobState, StageStatus
from kyara_jobs.dataset import DatasetToLora
from kyara_jobs.evaluation import LorasToScores
from kyara_jobs.order import Order
from kyara_jobs.part import put_stage
from kyara_jobs.pictures import PicturesToLora
from kyara_jobs.pipeline import Pipeline
from kyara_jobs.video import VideoToLoras

ANSWER_WITHIN = timedelta(seconds=10)
LOOK_WITHIN = timedelta(seconds=20)
"""A query goes to the worker that had the workflow last; the engine takes 10 s to see that this one is dead."""
CLOSED_WITHIN_S = 10
PIPELINES = {
    "video": VideoToLoras.run,
    "character": PicturesToLora.run,
    "dataset": DatasetToLora.run,
    "evaluation": LorasToScores.run,
}
FINAL = frozenset({JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED})


class Engine:
    """The jobs that Temporal runs or still remembers. A job's id is its workflow's."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def start(self, order: Order, again: bool = False) -> bool:
        """Start a job. False when it was started already; `again` starts one anew that failed or was cancelled."""
        pipeline = PIPELINES[order.spec.WhichOneof("pipeline") or ""]
        policy = WorkflowIDReusePolicy
        try:
            await self._client.start_workflow(
                pipeline,
                order,
                id=order.id,
                task_queue=self._task_queue,
                id_reuse_policy=policy.ALLOW_DUPLICATE_FAILED_ONLY if again else policy.REJECT_DUPLICATE,
                static_summary=f"{order.spec.name} ({order.recipe.name})",
                rpc_timeout=ANSWER_WITHIN,
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def look(self, job_id: str) -> Job | None:
        """A job as it stands, with the progress of what runs now; None when the engine does not know it."""
        handle = self._client.get_workflow_handle(job_id)
        try:
            described = await handle.describe(rpc_timeout=ANSWER_WITHIN)
            job: Job = await handle.query("job", result_type=Job, rpc_timeout=LOOK_WITHIN)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return None
            raise
        if job.state in FINAL:
            return job
        if described.status != WorkflowExecutionStatus.RUNNING:
            return _cut_short(job, described)
        if described.raw_description.workflow_extended_info.cancel_requested:
            job.state = JobState.JOB_STATE_CANCELLING
        pending = [*described.raw_description.pending_activities]
        parts = (self._add_part(job, child.workflow_id) for child in described.raw_description.pending_children)
        for calls in await asyncio.gather(*parts):
            pending += calls
        for each in pending:
            await self._add_last_words(job, each)
        return job

    async def closed(self, job_id: str) -> bool:
        """Whether a job that has ended has also left the engine; waits a moment for the one to follow the other."""
        until = time.monotonic() + CLOSED_WITHIN_S
        while time.monotonic() < until:
            try:
                described = await self._client.get_workflow_handle(job_id).describe(rpc_timeout=ANSWER_WITHIN)
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                return True
            if described.status != WorkflowExecutionStatus.RUNNING:
                return True
            await asyncio.sleep(0.1)
        return False

    async def cancel(self, job_id: str) -> None:
        """Ask a job to stop. One that has ended, or is not known, is left as it is."""
        try:
            await self._client.get_workflow_handle(job_id).cancel(rpc_timeout=ANSWER_WITHIN)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise

    async def name(self, job_id: str, names: Mapping[int, str]) -> None:
        """Give names to a job that waits for them. Raises WorkflowUpdateFailedError when they do not fit."""
        handle = self._client.get_workflow_handle(job_id)
        await handle.execute_update(VideoToLoras.name_clusters, dict(names), rpc_timeout=ANSWER_WITHIN)

    async def approve(self, job_id: str, indexes: Sequence[int], refuse: bool) -> None:
        """Say of LoRAs that wait whether they are published. Raises WorkflowUpdateFailedError when they do not."""
        handle = self._client.get_workflow_handle(job_id)
        await handle.execute_update(Pipeline.approve, args=[list(indexes), refuse], rpc_timeout=ANSWER_WITHIN)

    async def _add_part(self, job: Job, part_id: str) -> list[PendingActivityInfo]:
        """Show the stages of a running part in its job; the calls that run in it now."""
        handle = self._client.get_workflow_handle(part_id)
        try:
            described = await handle.describe(rpc_timeout=ANSWER_WITHIN)
            part: Job = await handle.query("job", result_type=Job, rpc_timeout=ANSWER_WITHIN)
        except RPCError:
            return []  # it has not begun, or its worker has just died: the next look sees it
        for status in part.stages:
            put_stage(job, status)
        return [*described.raw_description.pending_activities]

    async def _add_last_words(self, job: Job, pending: PendingActivityInfo) -> None:
        """Show what a running stage call last said of itself."""
        if pending.activity_type.name != "run_stage" or not pending.heartbeat_details.payloads:
            return
        (status,) = await self._client.data_converter.decode(pending.heartbeat_details.payloads, [StageStatus])
        status.attempt = pending.attempt
        if pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED:
            # Between two attempts: why the last one ended is what the user wants to know.
            status.error = pending.last_failure.message
        if _runs(job, status):
            put_stage(job, status)


def _runs(job: Job, status: StageStatus) -> bool:
    """Whether the job still has this stage as running; a heartbeat may be older than the stage's end."""
    key = (status.stage, status.subject)
    return any((known.stage, known.subject) == key and known.state == JobState.JOB_STATE_RUNNING for known in job.stages)


def _cut_short(job: Job, described: WorkflowExecutionDescription) -> Job:
    """A job whose workflow was ended from outside, without its own last words."""
    how = described.status.name if described.status else "ended"
    job.state = JobState.JOB_STATE_FAILED
    job.error, job.error_code = f"the engine ended the job ({how}); retry it", "ABORTED"
    if described.close_time:
        job.ended.FromDatetime(described.close_time)
    return job
