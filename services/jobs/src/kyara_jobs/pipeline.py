"""What every pipeline has: the job as it stands, open to queries, and its end, kept for good."""

from collections.abc import Coroutine, Iterable
from datetime import timedelta
from typing import Any

from google.protobuf.json_format import ParseDict
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

from kyara.jobs.v1.jobs_pb2 import Approval, CharacterStatus, Job, JobState, StageStatus
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_jobs.activities import Activities
from kyara_jobs.character import CharacterToLora
from kyara_jobs.failures import each, failure, failure_of
from kyara_jobs.order import Order, Verdict
from kyara_jobs.part import put_stage
from kyara_jobs.process import SHORT, Process, look_up

RECORD_WITHIN = timedelta(seconds=60)


class Pipeline:
    """A job's main workflow. Subclasses say what is done; `see_through` holds all the ways that it can end."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.job = Job(id=order.id, spec=order.spec, state=JobState.JOB_STATE_QUEUED, names=order.names, tenant=order.tenant)
        self.job.created.FromMilliseconds(order.created_ms)
        ParseDict(order.recipe.model_dump(mode="json"), self.job.recipe)
        self.process = Process(order, self.stage_changed)

    @workflow.query(name="job")
    def job_now(self) -> Job:
        """The job as it stands, without what runs in its parts and the progress inside running stages."""
        return self.job

    @workflow.signal
    def part_ended(self, part: Job) -> None:
        """A part of this job ended with these stages."""
        for status in part.stages:
            put_stage(self.job, status)

    @workflow.signal
    def asks_for_approval(self, name: str, verdict: Verdict) -> None:
        """A character's LoRA is scored, and is published when somebody says so."""
        running = [each for each in self.job.characters if each.state == JobState.JOB_STATE_RUNNING]
        character = next(each for each in running if each.name == name)
        character.best_step, character.recscore = verdict.best_step, verdict.recscore
        character.approval = Approval.APPROVAL_WAITING
        self._wait_or_run()

    @workflow.update
    async def approve(self, indexes: list[int], refuse: bool) -> None:
        """Say of LoRAs that wait, or of all of them, whether they are to be published."""
        for character in self._asking():
            if not indexes or character.index in indexes:
                character.approval = Approval.APPROVAL_REFUSED if refuse else Approval.APPROVAL_GIVEN
                await workflow.get_external_workflow_handle(self._part_of(character)).signal("decided", not refuse)
        self._wait_or_run()

    @approve.validator
    def approval_is_asked_for(self, indexes: list[int], refuse: bool) -> None:
        """Refuses what is said of characters that do not wait."""
        waiting = {character.index for character in self._asking()}
        if not waiting:
            raise failure("FAILED_PRECONDITION", f"no LoRA of job {self.job.id} waits for approval; one does with approve")
        if others := sorted(set(indexes) - waiting):
            shown = ", ".join(map(str, sorted(waiting)))
            raise failure("INVALID_ARGUMENT", f"index {others[0]} does not wait for approval; those that do: {shown}")

    def _asking(self) -> list[CharacterStatus]:
        return [each for each in self.job.characters if each.approval == Approval.APPROVAL_WAITING]

    def _wait_or_run(self) -> None:
        """A job waits when nothing in it goes on without a person."""
        running = [each for each in self.job.characters if each.state == JobState.JOB_STATE_RUNNING]
        waits = bool(running) and all(each.approval == Approval.APPROVAL_WAITING for each in running)
        self.job.state = JobState.JOB_STATE_WAITING if waits else JobState.JOB_STATE_RUNNING

    def _part_of(self, character: CharacterStatus) -> str:
        return f"{self.order.id}/character-{character.index:03}"

    def stage_changed(self, status: StageStatus) -> None:
        """A stage of this job itself began or ended."""
        put_stage(self.job, status)

    async def see_through(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work, and keep how it ended. The workflow ends as the job does: done, failed or cancelled."""
        self.job.state = JobState.JOB_STATE_RUNNING
        try:
            await work
        except BaseException as error:
            if is_cancelled_exception(error):
                await self._end(JobState.JOB_STATE_CANCELLED)
            elif isinstance(error, FailureError):
                why = failure_of(error)
                self.job.error, self.job.error_code = why.message, why.type or ""
                await self._end(JobState.JOB_STATE_FAILED)
                raise why from error
            raise
        await self._end(JobState.JOB_STATE_SUCCEEDED)

    async def _end(self, state: JobState.ValueType) -> None:
        """Keep the record. When the store refuses for a minute, the engine still knows, as long as it keeps histories."""
        self.job.state = state
        self.job.ended.FromDatetime(workflow.now())
        for part in [*self.job.stages, *self.job.characters]:
            if part.state in (JobState.JOB_STATE_QUEUED, JobState.JOB_STATE_RUNNING):
                part.state = JobState.JOB_STATE_CANCELLED
        try:
            await workflow.execute_activity_method(
                Activities.keep_record,
                self.job,
                start_to_close_timeout=SHORT,
                schedule_to_close_timeout=RECORD_WITHIN,
                cancellation_type=workflow.ActivityCancellationType.ABANDON,
            )
        except ActivityError as error:
            workflow.logger.error("the job's record could not be kept: %s", failure_of(error).message)

    async def add_character(self, index: int, name: str, crops: ArtifactRef) -> None:
        """Show a character of this job."""
        images = await look_up(Activities.count_images, crops)
        self.job.characters.append(CharacterStatus(index=index, name=name, images=images))

    async def train(self, crops: Iterable[tuple[CharacterStatus, ArtifactRef]]) -> None:
        """A LoRA for each character, side by side. One that fails ends no other; raises when all fail."""
        chosen = list(crops)
        for character, _ in chosen:
            character.state = JobState.JOB_STATE_QUEUED
        ends = await each(self._train_one(character, images) for character, images in chosen)
        if ends and all(isinstance(end, ApplicationError) for end in ends):
            assert isinstance(ends[0], ApplicationError)
            raise ends[0]

    async def _train_one(self, character: CharacterStatus, crops: ArtifactRef) -> None:
        character.state = JobState.JOB_STATE_RUNNING
        try:
            verdict: Verdict = await workflow.execute_child_workflow(
                CharacterToLora.run,
                args=[self.order, character.name, crops],
                id=self._part_of(character),
                parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
                static_summary=character.name,
            )
        except FailureError as error:
            if not is_cancelled_exception(error):
                character.state, character.error = JobState.JOB_STATE_FAILED, failure_of(error).message
                self._wait_or_run()
            raise
        character.best_step, character.recscore = verdict.best_step, verdict.recscore
        character.state = JobState.JOB_STATE_SUCCEEDED
        self._wait_or_run()
