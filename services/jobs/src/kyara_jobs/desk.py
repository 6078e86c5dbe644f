"""Where users' calls meet the engine and the records: everything that can be done with a job."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from datetime import timedelta

import grpc
import structlog
from temporalio.client import WorkflowQueryFailedError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from kyara.jobs.v1.jobs_pb2 import CollectGarbageResponse, Job, JobSpec, JobState
from kyara_artifacts import Store, StoreError
from kyara_jobs import metrics
from kyara_jobs.engine import FINAL, Engine
from kyara_jobs.garbage import Collector, Rules
from kyara_jobs.orders import Refused, checked, invalid, job_id_of, new_job, order_of, recipe_of
from kyara_jobs.quotas import Quota, Quotas
from kyara_jobs.records import Records, tenant_of
from kyara_rpc.tokens import Identity, Role

PAGE = 50
LONGEST_PAGE = 200
POLL_S = 0.5
KEEPALIVE_S = 10.0
GRACE_DAYS = 7
LEAST_GRACE_DAYS = 2
"""A blob that was put again within a day is not written again, so that its age may be a day too high."""

log = structlog.get_logger()


class Desk:
    """Takes orders and answers for them. Raises Refused for what the user must change.

    A job of another tenant is not found: that there is one is not told either.
    """

    def __init__(self, engine: Engine, store: Store, quotas: Mapping[str, Quota]) -> None:
        self._engine = engine
        self._records = Records(store)
        self._quotas = Quotas(quotas, self._records, store, self._now_or_recorded)
        self._garbage = Collector(store, self._now)
        self._looks: dict[str, asyncio.Task[Job]] = {}

    async def create(self, who: Identity, request_id: str, spec: JobSpec) -> Job:
        """Start a job, once for each `request_id` of a tenant."""
        job_id = job_id_of(who.tenant, request_id)
        full = checked(spec)
        job = await asyncio.to_thread(self._records.read, job_id)
        if job is None:
            job = new_job(job_id, who.tenant, full, recipe_of(full), time.time_ns() // 1_000_000)
            # Started within the block: one that is only recorded would not count yet for who comes next.
            async with self._quotas.room_for_a_job(who.tenant):
                await asyncio.to_thread(self._records.create, job)
                metrics.CREATED.inc()
                log.info("job created", job=job_id, tenant=who.tenant, recipe=full.recipe)
                return await self._started(who, job)
        if (tenant_of(job), job.spec) != (who.tenant, full):
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"request_id {request_id!r} was used for another job, {job_id}")
        # A recorded job that was never started, because its creation was cut short, starts here too.
        return job if job.state in FINAL else await self._started(who, job)

    async def get(self, who: Identity, job_id: str) -> Job:
        """A job as it stands, whether it runs, has just ended, or ended long ago."""
        return await self._now(await self._recorded(who, job_id))

    async def page(self, who: Identity, size: int, token: str) -> tuple[list[Job], str]:
        """Jobs without their stages, newest first, and the next page's token."""
        if size < 0:
            raise invalid("page_size: must be 0 (the default) or more")
        tenant = None if who.may(Role.ADMIN) else who.tenant
        records, more = await asyncio.to_thread(self._records.page, min(size or PAGE, LONGEST_PAGE), token, tenant)
        jobs = await asyncio.gather(*(self._now_or_recorded(record) for record in records))
        for job in jobs:
            job.ClearField("stages")
            job.ClearField("recipe")
        return list(jobs), more

    async def watch(self, who: Identity, job_id: str) -> AsyncIterator[Job]:
        """The job, again whenever it changes and now and then when it does not, until it ends."""
        last = await self._now_or_recorded(await self._recorded(who, job_id))
        yield last
        said = time.monotonic()
        while last.state not in FINAL:
            await asyncio.sleep(POLL_S)
            job = await self._glance(who, job_id, said + KEEPALIVE_S - time.monotonic()) or last
            if job != last or time.monotonic() - said >= KEEPALIVE_S:
                yield job
                last, said = job, time.monotonic()

    async def cancel(self, who: Identity, job_id: str) -> Job:
        """Stop a job that has not ended. Cancelling twice is fine."""
        job = await self.get(who, job_id)
        if job.state == JobState.JOB_STATE_CANCELLED:
            return job
        if job.state in FINAL:
            raise _too_late(job, "it cannot be cancelled any more")
        await self._engine.cancel(job_id)
        log.info("job cancelled", job=job_id)
        return await self.get(who, job_id)

    async def retry(self, who: Identity, job_id: str) -> Job:
        """Start a failed or cancelled job again, with the recipe and the names that it had."""
        job = await self.get(who, job_id)
        if job.state not in (JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED):
            raise _too_late(job, "only a failed or cancelled job can be retried")
        order = order_of(job)
        if not await self._engine.closed(job_id):
            raise Refused(grpc.StatusCode.ABORTED, f"job {job_id} is still ending; retry it in a moment")
        anew = Job(id=job.id, spec=job.spec, created=job.created, recipe=job.recipe, names=job.names, tenant=order.tenant)
        anew.state = JobState.JOB_STATE_QUEUED
        async with self._quotas.room_for_a_job(order.tenant):
            await asyncio.to_thread(self._records.write, anew)
            self._quotas.forget(job_id)
            if not await self._engine.start(order, again=True):
                return await self.get(who, job_id)  # somebody else was quicker
        log.info("job retried", job=job_id)
        return anew

    async def name(self, who: Identity, job_id: str, names: Mapping[int, str]) -> Job:
        """Name the characters of a job that waits, and let it go on."""
        job = await self.get(who, job_id)
        if job.state != JobState.JOB_STATE_WAITING:
            raise _too_late(job, "only a job that waits for names can be given some")
        await _told(job, self._engine.name(job_id, names))
        return await self.get(who, job_id)

    async def approve(self, who: Identity, job_id: str, indexes: Sequence[int], refuse: bool) -> Job:
        """Let LoRAs that wait be published, or say that they are not to be."""
        job = await self.get(who, job_id)
        if job.state in FINAL:
            raise _too_late(job, "nothing of it waits for approval")
        await _told(job, self._engine.approve(job_id, indexes, refuse))
        log.info("loras refused" if refuse else "loras approved", job=job_id, characters=list(indexes))
        return await self.get(who, job_id)

    async def forget(self, who: Identity, job_id: str) -> None:
        """Remove the record of a job that has ended."""
        job = await self.get(who, job_id)
        if job.state not in FINAL:
            raise _too_late(job, "only a job that has ended can be forgotten; cancel it first")
        await asyncio.to_thread(self._records.forget, job)
        log.info("job forgotten", job=job_id)

    async def collect_garbage(self, grace_days: int, forget_days: int, dry_run: bool) -> AsyncIterator[CollectGarbageResponse]:
        """Remove from the store what no job leads to; gives what was done so far."""
        if grace_days and grace_days < LEAST_GRACE_DAYS:
            message = f"grace_days: must be {LEAST_GRACE_DAYS} or more, since a stage at work counts on what it found a day ago"
            raise invalid(message)
        if forget_days < 0:
            raise invalid("forget_after_days: must be 0, which keeps all jobs, or more")
        forget_after = timedelta(days=forget_days) if forget_days else None
        async for done in self._garbage.collect(Rules(timedelta(days=grace_days or GRACE_DAYS), forget_after, dry_run)):
            yield done

    async def _started(self, who: Identity, job: Job) -> Job:
        return job if await self._engine.start(order_of(job)) else await self.get(who, job.id)

    async def _recorded(self, who: Identity, job_id: str) -> Job:
        record = await asyncio.to_thread(self._records.read, job_id)
        if record is None or not (tenant_of(record) == who.tenant or who.may(Role.ADMIN)):
            raise Refused(grpc.StatusCode.NOT_FOUND, f"there is no job {job_id!r}; list the jobs to see their ids")
        return record

    async def _now(self, record: Job) -> Job:
        """A job as it stands."""
        if record.state in FINAL:
            return record
        return await self._engine.look(record.id) or _never_started(record)

    async def _now_or_recorded(self, record: Job) -> Job:
        """A job as it stands, or as recorded when the engine cannot be asked just now."""
        try:
            return await self._now(record)
        except (RPCError, WorkflowQueryFailedError) as error:
            log.warning("job cannot be looked at", job=record.id, error=str(error))
            return record

    async def _glance(self, who: Identity, job_id: str, seconds: float) -> Job | None:
        """The job as it stands, looked at once for all who watch it; None when that takes longer or does not work now."""
        look = self._looks.get(job_id)
        if look is None:
            look = self._looks[job_id] = asyncio.create_task(self.get(who, job_id))
            look.add_done_callback(lambda _: self._looks.pop(job_id, None))
        await asyncio.wait({look}, timeout=max(seconds, POLL_S))
        if not look.done():
            return None
        try:
            return look.result()
        except (RPCError, WorkflowQueryFailedError, StoreError) as error:
            # The engine or the store is away for a moment; the job is not.
            log.warning("job cannot be looked at", job=job_id, error=str(error))
            return None


def _never_started(record: Job) -> Job:
    """A job that is recorded as unfinished, of which the engine knows nothing."""
    record.state = JobState.JOB_STATE_FAILED
    record.error = "the engine does not know the job: it was never started, or its history is lost; retry it"
    record.error_code = "ABORTED"
    return record


async def _told(job: Job, update: Awaitable[None]) -> None:
    """Tell a running job something. Raises Refused when it does not fit, or comes too late."""
    try:
        await update
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        code = cause.type if isinstance(cause, ApplicationError) and cause.type else "INTERNAL"
        raise Refused(grpc.StatusCode[code], getattr(cause, "message", str(cause))) from error
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            raise _too_late(job, "it ended meanwhile") from error
        raise


def _too_late(job: Job, why: str) -> Refused:
    state = JobState.Name(job.state).removeprefix("JOB_STATE_")
    return Refused(grpc.StatusCode.FAILED_PRECONDITION, f"job {job.id} is {state}: {why}")
