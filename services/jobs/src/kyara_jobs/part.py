"""A part of a job as a child workflow: it answers for its own stages, and hands them to the job when it ends.

One message at the end, rather than one per change: who wants to see a running part asks it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

from kyara.jobs.v1.jobs_pb2 import Job, StageStatus

T = TypeVar("T")


def put_stage(job: Job, status: StageStatus) -> None:
    """Show a stage of a job as it now stands."""
    for known in job.stages:
        if (known.stage, known.subject) == (status.stage, status.subject):
            known.CopyFrom(status)
            return
    job.stages.append(status)


class Part:
    """Base of the child workflows of a job."""

    def __init__(self) -> None:
        self.job = Job()
        """Only the stages of this part are in it."""

    @workflow.query(name="job")
    def job_now(self) -> Job:
        """The stages of this part as they stand."""
        return self.job

    def stage_changed(self, status: StageStatus) -> None:
        """A stage of this part began or ended."""
        put_stage(self.job, status)

    async def see_through(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work, and hand its stages to the job however it ended."""
        try:
            result = await work
        except (FailureError, asyncio.CancelledError):
            await self._hand_over()
            raise
        await self._hand_over()
        return result

    def job_handle(self) -> workflow.ExternalWorkflowHandle[Any]:
        """The job that this is a part of."""
        parent = workflow.info().parent
        assert parent, "parts of a job are child workflows"
        return workflow.get_external_workflow_handle(parent.workflow_id)

    async def _hand_over(self) -> None:
        await self.job_handle().signal("part_ended", self.job)
