"""One character's pictures, in a folder or on the web, to a LoRA."""

from temporalio import workflow

from kyara.jobs.v1.jobs_pb2 import CharacterJob
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_jobs.order import Order
from kyara_jobs.pipeline import Pipeline


@workflow.defn
class PicturesToLora(Pipeline):
    """A folder of one character's pictures to a published, scored LoRA."""

    @workflow.init
    def __init__(self, order: Order) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: Order) -> None:
        """The whole job."""
        await self.see_through(self.lora_of(order.spec.character))

    async def lora_of(self, character: CharacterJob) -> None:
        """Collect, find the figures, keep clean crops of the character, train."""
        pictures = await self.process.pictures_of(character)
        figures = await self.process.boxes_in(pictures)
        # Jobs from before web cleaning go on as they began.
        if workflow.patched("web-cleaning"):
            crops = await self.process.character_in(figures, **await self.anchors_of(character))
        else:
            crops = await self.process.persons_in([figures])
        await self.add_character(0, character.name, crops)
        await self.train([(self.job.characters[0], crops)])

    async def anchors_of(self, character: CharacterJob) -> dict[str, ArtifactRef]:
        """The pictures that surely show the character, with boxes, where there are any."""
        if not character.anchors:
            return {}
        process = self.process.of("anchors")
        return {"anchors": await process.boxes_in(await process.pictures_in(character.anchors))}
