"""The permanent record of a job in the store: `jobs/<id>`, a Job as JSON.

It is written when the job is created and when it ends, so that jobs can be shown and listed long after the engine
has forgotten them. `timeline/<inverted time>-<id>` lists them newest first without opening any.
"""

import re

from google.protobuf.json_format import MessageToJson, Parse

from kyara.jobs.v1.jobs_pb2 import Job
from kyara_artifacts import Store

_ID = re.compile(r"[a-z0-9]+")
_END_OF_TIME_MS = 10**14 - 1


class Records:
    """The records of all jobs in one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, job_id: str) -> Job | None:
        """A job as it was last recorded."""
        record = self._store.get_record(f"jobs/{job_id}") if _ID.fullmatch(job_id) else None
        return Parse(record, Job()) if record is not None else None

    def write(self, job: Job) -> None:
        """Record a job that is listed already."""
        self._store.put_record(f"jobs/{job.id}", MessageToJson(job, preserving_proto_field_name=True).encode())

    def create(self, job: Job) -> None:
        """Record a new job, and list it."""
        self.write(job)
        self._store.put_record(f"timeline/{_END_OF_TIME_MS - job.created.ToMilliseconds():014}-{job.id}", b"{}")

    def page(self, size: int, token: str) -> tuple[list[Job], str]:
        """At most `size` jobs, newest first, after the page that gave `token`; and the next page's token, if any."""
        keys = [key for key in self._store.list_records("timeline") if key > f"timeline/{token}"]
        jobs = [self.read(key.rpartition("-")[2]) for key in keys[:size]]
        more = keys[size - 1].removeprefix("timeline/") if len(keys) > size else ""
        return [job for job in jobs if job], more
