"""Garbage: what no job leads to any more, and nobody has made or needed for a while.

A job leads to its stages' outputs, these to the blobs that their manifests name. Kept results, checkpoints and other records
lead to theirs as long as they are younger than the grace period. It is safe while jobs run: a kept result goes first, and
then there is time for whoever was just answered with it to show it in a job, before what is led to is looked at once more and
only blobs that are old and not led to are removed. A blob that is put again is young again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import structlog
from google.protobuf.json_format import MessageToDict

from kyara.jobs.v1.jobs_pb2 import CollectGarbageResponse, Job
from kyara_artifacts import Kept, Store
from kyara_jobs.engine import FINAL
from kyara_jobs.reach import RESULTS, Reach
from kyara_jobs.records import JOBS, Records

SETTLE_S = 60.0
"""A job shows what a stage has answered within this time."""
BATCH = 500

log = structlog.get_logger()


@dataclass(frozen=True)
class Rules:
    """What is garbage."""

    grace: timedelta
    """What was written more lately is none."""
    forget_after: timedelta | None
    """Jobs that ended longer ago are forgotten first; None keeps all."""
    dry_run: bool
    """Only count."""


class Collector:
    """Collects garbage. `look` gives a recorded job as it stands, or raises: what cannot be seen is not called garbage."""

    def __init__(self, store: Store, look: Callable[[Job], Awaitable[Job]], settle_s: float = SETTLE_S) -> None:
        self._store = store
        self._records = Records(store)
        self._look = look
        self._settle_s = settle_s

    async def collect(self, rules: Rules) -> AsyncIterator[CollectGarbageResponse]:
        """Remove garbage; gives what was done so far, again and again, and at last in the phase `done`."""
        done = CollectGarbageResponse(phase="jobs")
        oldest = datetime.now(UTC) - rules.grace
        yield done
        forgotten = await self._forget_jobs(rules)
        done.jobs = len(forgotten)
        done.phase = "kept results"
        yield done
        dead = await asyncio.to_thread(self._dead_records, await self._jobs(forgotten), oldest)
        done.records = len(dead)
        if not rules.dry_run:
            await asyncio.to_thread(self._remove_records, dead)
            await asyncio.sleep(self._settle_s)
        done.phase = "blobs"
        yield done
        needed = await asyncio.to_thread(self._needed, await self._jobs(forgotten), frozenset(dead))
        blobs = self._store.list_blobs()
        while batch := await asyncio.to_thread(_next_of, blobs):
            old = [blob for blob in batch if blob.name not in needed and blob.written < oldest]
            if not rules.dry_run:
                await asyncio.to_thread(self._store.remove_blobs, [blob.name for blob in old])
            size = sum(blob.size for blob in old)
            done.blobs += len(old)
            done.bytes += size
            done.blobs_kept += len(batch) - len(old)
            done.bytes_kept += sum(blob.size for blob in batch) - size
            yield done
        done.phase = "done"
        log.info("garbage collected", dry_run=rules.dry_run, **MessageToDict(done, preserving_proto_field_name=True))
        yield done

    async def _forget_jobs(self, rules: Rules) -> set[str]:
        """Ids of the jobs that are forgotten."""
        if rules.forget_after is None:
            return set()
        latest = datetime.now(UTC) - rules.forget_after
        jobs = await asyncio.to_thread(self._records.all)
        old = [job for job in jobs if job.state in FINAL and job.ended.ToDatetime(UTC) < latest]
        if not rules.dry_run:
            await asyncio.to_thread(lambda: [self._records.forget(job) for job in old])
        return {job.id for job in old}

    async def _jobs(self, without: set[str]) -> list[Job]:
        """All recorded jobs but these; those that have not ended as they stand."""
        jobs = await asyncio.to_thread(self._records.all)
        return [job if job.state in FINAL else await self._look(job) for job in jobs if job.id not in without]

    def _dead_records(self, jobs: list[Job], oldest: datetime) -> list[str]:
        """Old records: results that no job leads to, and what only helps a stage at work."""
        reach = Reach(self._store)
        reach.add_jobs(jobs)
        old = [record.name for record in self._others() if record.written < oldest]
        return [key for key in old if not (key.startswith(RESULTS) and reach.leads_to_all_of(key))]

    def _remove_records(self, keys: list[str]) -> None:
        for key in keys:
            self._store.remove_record(key)

    def _needed(self, jobs: list[Job], dead: frozenset[str]) -> set[str]:
        """SHA-256 of every blob that a job or another living record leads to."""
        reach = Reach(self._store)
        reach.add_jobs(jobs)
        reach.add_records(record.name for record in self._others() if record.name not in dead)
        return reach.blobs

    def _others(self) -> Iterator[Kept]:
        """All records but those of jobs."""
        return (record for record in self._store.list_records() if not record.name.startswith(JOBS))


def _next_of(blobs: Iterator[Kept]) -> list[Kept]:
    return list(islice(blobs, BATCH))
