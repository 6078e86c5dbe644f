"""What a tenant may use, and what it does: counted from the records of its jobs.

What is not promised: two replicas that take orders at the same moment do not see each other's; work of stages that
failed or were cancelled is in no record; a job retried through another replica counts here as ended until it has
ended anew. Graphics cards are counted for as long as a stage ran, waiting in Ray's queue included.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc
from pydantic import BaseModel, ConfigDict, Field

from kyara.jobs.v1.jobs_pb2 import Job
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import BlobMissing, Store, blobs_of
from kyara_jobs.engine import FINAL
from kyara_jobs.orders import Refused
from kyara_jobs.records import Records

WINDOW = timedelta(days=30)
EVERYBODY_ELSE = "*"


class Quota(BaseModel):
    """What a tenant may use; what is left out is not limited."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    running_jobs: int | None = Field(default=None, ge=0)
    """Jobs that have not ended."""
    gpu_hours: float | None = Field(default=None, ge=0)
    """Hours of graphics cards in the jobs of the last 30 days."""
    store_bytes: int | None = Field(default=None, ge=0)
    """Bytes of all that its jobs gave, each blob counted once."""


class Quotas:
    """The quotas of all tenants. `look` gives a recorded job as it stands."""

    def __init__(
        self, quotas: Mapping[str, Quota], records: Records, store: Store, look: Callable[[Job], Awaitable[Job]]
    ) -> None:
        self._quotas = quotas
        self._records = records
        self._store = store
        self._look = look
        self._ended: dict[str, Job] = {}
        self._blobs: dict[str, dict[str, int]] = {}
        """Blobs by their sizes, of each artifact that was looked into."""
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def room_for_a_job(self, tenant: str) -> AsyncIterator[None]:
        """Start a job of `tenant` in the block, in turn with others of it. Raises Refused when a quota is used up."""
        quota = self._quotas.get(tenant) or self._quotas.get(EVERYBODY_ELSE)
        if quota is None:
            yield
            return
        async with self._turns[tenant]:
            await self._check(tenant, quota)
            yield

    def forget(self, job_id: str) -> None:
        """A job that had ended starts again."""
        self._ended.pop(job_id, None)

    async def _check(self, tenant: str, quota: Quota) -> None:
        jobs = await self._jobs_of(tenant)
        running = sum(job.state not in FINAL for job in jobs)
        if quota.running_jobs is not None and running >= quota.running_jobs:
            what = f"{running} of {quota.running_jobs} jobs run or wait"
            raise _used_up(tenant, what, "let one end, or cancel one")
        hours = sum(_gpu_hours(job) for job in jobs if _is_recent(job))
        if quota.gpu_hours is not None and hours >= quota.gpu_hours:
            what = f"{hours:.1f} of {quota.gpu_hours:g} hours of graphics cards in the last {WINDOW.days} days"
            raise _used_up(tenant, what, "wait until older jobs no longer count")
        if quota.store_bytes is not None:
            size = await asyncio.to_thread(self._bytes_of, jobs)
            if size >= quota.store_bytes:
                raise _used_up(tenant, f"{size} of {quota.store_bytes} bytes in the store", "have old jobs removed")

    async def _jobs_of(self, tenant: str) -> list[Job]:
        """The tenant's jobs as they stand. Those that have ended are read once."""
        ids = await asyncio.to_thread(self._records.ids_of, tenant)
        unknown = [job_id for job_id in ids if job_id not in self._ended]
        records = await asyncio.to_thread(lambda: [job for each in unknown if (job := self._records.read(each))])
        self._ended |= {job.id: _slim(job) for job in records if job.state in FINAL}
        running = await asyncio.gather(*(self._look(job) for job in records if job.state not in FINAL))
        return [*running, *(self._ended[job_id] for job_id in ids if job_id in self._ended)]

    def _bytes_of(self, jobs: list[Job]) -> int:
        whole: dict[str, int] = {}
        for job in jobs:
            for stage in job.stages:
                for output in stage.outputs.values():
                    whole |= self._blobs_of(output)
        return sum(whole.values())

    def _blobs_of(self, output: ArtifactRef) -> dict[str, int]:
        sha256 = output.digest.sha256
        if sha256 not in self._blobs:
            try:
                self._blobs[sha256] = blobs_of(self._store, output)
            except BlobMissing:
                return {}  # removed from the store: it takes no room
        return self._blobs[sha256]


def _slim(job: Job) -> Job:
    """A job without what is not counted, to be kept in memory."""
    job.ClearField("recipe")
    job.ClearField("spec")
    return job


def _gpu_hours(job: Job) -> float:
    return sum(stage.seconds * stage.gpus for stage in job.stages if not stage.cached) / 3600


def _is_recent(job: Job) -> bool:
    return job.state not in FINAL or job.ended.ToDatetime(UTC) > datetime.now(UTC) - WINDOW


def _used_up(tenant: str, what: str, remedy: str) -> Refused:
    return Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, f"tenant {tenant!r} has used up its quota: {what}; {remedy}")
