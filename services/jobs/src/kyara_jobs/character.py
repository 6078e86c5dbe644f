"""One character's crops to a published, scored LoRA."""

from temporalio import workflow

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_jobs import params
from kyara_jobs.activities import Activities
from kyara_jobs.order import DatasetFacts, Order, Verdict
from kyara_jobs.part import Part
from kyara_jobs.process import Outputs, Process, look_up


@workflow.defn
class CharacterToLora(Part):
    """A character's crops to a published, scored LoRA."""

    def __init__(self) -> None:
        super().__init__()
        self._decision: bool | None = None

    @workflow.signal
    def decided(self, publish: bool) -> None:
        """Somebody said whether the LoRA is to be published."""
        self._decision = publish

    @workflow.run
    async def run(self, order: Order, name: str, crops: ArtifactRef) -> Verdict:
        """The character's part of the job."""
        process = Process(order, self.stage_changed, name)
        return await self.see_through(self.lora_of(process, name, crops, order.spec.approve))

    async def lora_of(self, process: Process, name: str, crops: ArtifactRef, approve: bool) -> Verdict:
        """Package, train, choose the best save, publish; all publishing waits for approval where it is to."""
        packed = await process.package(name, crops)
        dataset = packed["dataset"]
        if workflow.patched("character-dataset") and not approve:
            await process.publish_character(name, packed)
        facts = await look_up(Activities.describe_dataset, dataset)
        trained, judged = await self.saves_of(process, name, dataset, facts)
        if approve:
            verdict = await process.verdict_in(judged)
            if not await self.approved(name, verdict):
                return verdict
            await process.publish_character(name, packed)
        await process.publish_lora(name, packed, trained, judged)
        return await process.verdict_in(judged)

    async def saves_of(self, process: Process, name: str, dataset: ArtifactRef, facts: DatasetFacts) -> tuple[Outputs, Outputs]:
        """Train, and score every save; a recipe with patience ends when so many saves after one another are of no use."""
        trigger, training = params.slug(name), process.recipe.training
        # With patience, it goes by parts of one save, but for the first, which cannot be the last.
        saves = training.patience + 1 if training.patience else training.saves
        trained = judged = None
        while True:
            whole = saves >= training.saves
            trained = await process.train(name, dataset, facts.images, 0 if whole else saves, trained)
            judged = await process.evaluate(trigger, dataset, facts.core_tags, trained, judged)
            if whole or (await process.verdict_in(judged)).idle_saves >= training.patience:
                return trained, judged
            saves += 1

    async def approved(self, name: str, verdict: Verdict) -> bool:
        """Show the job what was found, and wait until somebody has looked at it."""
        await self.job_handle().signal("asks_for_approval", args=[name, verdict])
        await workflow.wait_condition(lambda: self._decision is not None)
        return bool(self._decision)
