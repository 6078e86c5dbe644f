"""The permanent record of a job in the store: `jobs/<id>`, a Job as JSON.

It is written when the job is created and when it ends, so that jobs can be shown and listed long after the engine
has forgotten them. `timeline/<inverted time>-<id>.<tenant>` lists them newest first without opening any; the tenant
`default` is left out, as in records from before there were tenants.
"""

import re
from concurrent.futures import ThreadPoolExecutor

from google.protobuf.json_format import MessageToJson, Parse

from kyara.jobs.v1.jobs_pb2 import Job
from kyara_artifacts import Store
from kyara_artifacts.store import PARALLEL
from kyara_jobs.order import DEFAULT_TENANT

JOBS = ("jobs/", "timeline/")
"""Where records of jobs are."""
_ID = re.compile(r"[a-z0-9]+")
_END_OF_TIME_MS = 10**14 - 1
_DEFAULT = f".{DEFAULT_TENANT}"


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
        self._store.put_record(_listing(job), b"{}")

    def forget(self, job: Job) -> None:
        """Remove a job that has ended. What it alone leads to is garbage then."""
        self._store.remove_record(_listing(job))
        self._store.remove_record(f"jobs/{job.id}")

    def all(self) -> list[Job]:
        """Every job as it was last recorded."""
        ids = [record.name.partition("/")[2] for record in self._store.list_records("jobs")]
        with ThreadPoolExecutor(PARALLEL) as pool:
            return [job for job in pool.map(self.read, ids) if job]

    def page(self, size: int, token: str, tenant: str | None) -> tuple[list[Job], str]:
        """At most `size` jobs, newest first, after the page that gave `token`; and the next page's token, if any.

        Without a tenant, jobs of all of them.
        """
        keys = [key for key in self._listed(tenant) if key > f"timeline/{token}"]
        jobs = [self.read(_listed_job(key)[0]) for key in keys[:size]]
        more = keys[size - 1].removeprefix("timeline/") if len(keys) > size else ""
        return [job for job in jobs if job], more

    def ids_of(self, tenant: str) -> list[str]:
        """Ids of all jobs of a tenant, newest first."""
        return [_listed_job(key)[0] for key in self._listed(tenant)]

    def _listed(self, tenant: str | None) -> list[str]:
        keys = [listed.name for listed in self._store.list_records("timeline")]
        return [key for key in keys if tenant in (None, _listed_job(key)[1])]


def tenant_of(job: Job) -> str:
    """Whose job it is."""
    return job.tenant or DEFAULT_TENANT


def _listing(job: Job) -> str:
    """Key of the record that lists the job."""
    name = f"{_END_OF_TIME_MS - job.created.ToMilliseconds():014}-{job.id}.{tenant_of(job)}"
    return f"timeline/{name.removesuffix(_DEFAULT)}"


def _listed_job(key: str) -> tuple[str, str]:
    """Id and tenant of the job that a key of the timeline lists."""
    job_id, _, tenant = key.partition("-")[2].partition(".")
    return job_id, tenant or DEFAULT_TENANT
