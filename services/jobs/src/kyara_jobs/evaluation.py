"""LoRA files from anywhere to their scores."""

from temporalio import workflow

from kyara.jobs.v1.jobs_pb2 import EvaluationJob, JobState
from kyara_jobs.activities import Activities
from kyara_jobs.order import Order
from kyara_jobs.pipeline import Pipeline
from kyara_jobs.process import look_up


@workflow.defn
class LorasToScores(Pipeline):
    """The saves of a training that was done anywhere, scored against a character's pictures."""

    @workflow.init
    def __init__(self, order: Order) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: Order) -> None:
        """The whole job."""
        await self.see_through(self.scores_of(order.spec.evaluation))

    async def scores_of(self, wanted: EvaluationJob) -> None:
        """Take the files in, tag the pictures, draw, score."""
        saves = await self.process.loras_in(wanted.lora)
        pictures = await self.process.pictures_in(wanted.folder)
        await self.add_character(0, wanted.name, pictures)
        (character,) = self.job.characters
        character.state = JobState.JOB_STATE_RUNNING
        dataset = (await self.process.package(wanted.name, pictures))["dataset"]
        facts = await look_up(Activities.describe_dataset, dataset)
        judged = await self.process.evaluate(wanted.trigger, dataset, facts.core_tags, saves)
        verdict = await self.process.verdict_in(judged)
        character.best_step, character.recscore = verdict.best_step, verdict.recscore
        character.state = JobState.JOB_STATE_SUCCEEDED
