"""One character's crops to a published, scored LoRA."""

from temporalio import workflow

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_jobs.activities import Activities
from kyara_jobs.order import Order, Verdict
from kyara_jobs.part import Part
from kyara_jobs.process import Process, look_up


@workflow.defn
class CharacterToLora(Part):
    """A character's crops to a published, scored LoRA."""

    @workflow.run
    async def run(self, order: Order, name: str, crops: ArtifactRef) -> Verdict:
        """The character's part of the job."""
        return await self.see_through(self.lora_of(Process(order, self.stage_changed, name), name, crops))

    async def lora_of(self, process: Process, name: str, crops: ArtifactRef) -> Verdict:
        """Package, train, choose the best save, publish."""
        packed = await process.package(name, crops)
        dataset = packed["dataset"]
        if workflow.patched("character-dataset"):
            await process.publish_character(name, packed)
        facts = await look_up(Activities.describe_dataset, dataset)
        trained = await process.train(name, dataset, facts.images)
        judged = await process.evaluate(name, dataset, facts.core_tags, trained)
        await process.publish_lora(name, packed, trained, judged)
        return await process.verdict_in(judged)
