"""A dataset that is there already to a LoRA."""

from temporalio import workflow

from kyara.jobs.v1.jobs_pb2 import DatasetJob
from kyara_jobs.order import Order
from kyara_jobs.pipeline import Pipeline


@workflow.defn
class DatasetToLora(Pipeline):
    """A captioned dataset, such as a package made before, to a published, scored LoRA."""

    @workflow.init
    def __init__(self, order: Order) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: Order) -> None:
        """The whole job."""
        await self.see_through(self.lora_of(order.spec.dataset))

    async def lora_of(self, dataset: DatasetJob) -> None:
        """Collect the pictures with their captions, and train on them as they are."""
        pictures = await self.process.pictures_in(dataset.folder)
        await self.add_character(0, dataset.name, pictures)
        await self.train([(self.job.characters[0], pictures)])
