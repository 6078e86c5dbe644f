"""What workflows do outside themselves: run a stage, and read or write a little in the store."""

import asyncio
from typing import Any

from temporalio import activity

from kyara.jobs.v1.jobs_pb2 import Job, StageStatus
from kyara.stage.v1.stage_pb2 import Action, ArtifactRef, Caller
from kyara_artifacts import ImageSet, Store, get_json
from kyara_jobs import metrics
from kyara_jobs.merging import merged
from kyara_jobs.order import DatasetFacts, Recognition, Verdict
from kyara_jobs.records import Records
from kyara_jobs.stage_call import StageCall, StageServers


class Activities:
    """The activities, over one store and the stage servers at their addresses."""

    def __init__(self, store: Store, servers: StageServers, gpu_hour_price: float = 0.0) -> None:
        self._gpu_hour_price = gpu_hour_price
        self._store = store
        self._servers = servers
        self._records = Records(store)

    @activity.defn
    async def run_stage(self, action: Action, caller: Caller, subject: str) -> StageStatus:
        """Run a stage, or join it when it already runs, to its result.

        Raises ApplicationError with the gRPC code as its type, non-retryable where another attempt cannot help.
        """
        return await StageCall(self._servers, action, caller, subject).result()

    @activity.defn
    async def count_images(self, images: ArtifactRef) -> int:
        """How many pictures an image set holds."""
        return len(await asyncio.to_thread(ImageSet.load, self._store, images))

    @activity.defn
    async def merge_indexes(self, clusters: ArtifactRef, indexes: list[int]) -> ArtifactRef:
        """One image set of the crops of several indexes; `clusters` holds all crops with theirs."""
        whole = await asyncio.to_thread(ImageSet.load, self._store, clusters)
        return await asyncio.to_thread(merged(whole, indexes).save, self._store)

    @activity.defn
    async def read_likenesses(self, likenesses: ArtifactRef) -> list[Recognition]:
        """Whom each index is most like."""
        return [Recognition.model_validate(each) for each in await asyncio.to_thread(get_json, self._store, likenesses)]

    @activity.defn
    async def describe_dataset(self, dataset: ArtifactRef) -> DatasetFacts:
        """What training and previews depend on."""
        images = await asyncio.to_thread(ImageSet.load, self._store, dataset)
        return DatasetFacts(images=len(images), core_tags=images.meta.get("core_tags", []))

    @activity.defn
    async def read_verdict(self, scores: ArtifactRef) -> Verdict:
        """The best save, its score, and whether the last saves were of use."""
        found: dict[str, Any] = await asyncio.to_thread(get_json, self._store, scores)
        best = next(save for save in found["steps"] if save["step"] == found["best_step"])
        return Verdict(best_step=best["step"], recscore=best["recscore"], idle_saves=found.get("idle_saves", 0))

    @activity.defn
    async def keep_record(self, job: Job) -> None:
        """Keep how a job ended, for when the engine has forgotten it."""
        await asyncio.to_thread(self._records.write, job)
        metrics.job_ended(job, self._gpu_hour_price)
