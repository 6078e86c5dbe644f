"""`make load`: a thousand small jobs at once, and ten thousand jobs listed by page.

The work of a small job is done once; every further job is answered stage by stage from kept results. So what is measured is
Kyara's own: creating a job, handing a stage its work and taking the result, Temporal's history and memory, reading records.
The numbers go to out/load/results.json too.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from kyara.jobs.v1.jobs_pb2 import CharacterJob, CreateJobRequest, GetJobRequest, Job, JobSpec, JobState, ListJobsRequest
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara_jobs.records import Records
from kyara_miniature.pictures import make_pictures
from kyara_rpc import connect_sync
from tests.servers.kyara import Kyara, kyara_up, wait_for

OUT = Path("out/load")
CALLERS = 16
ALONE = 20
"""Jobs that run one after the other, for the time that a stage costs when nothing else is to do."""
PAGE = 200
LONGEST_S = 3600
MEBI = 1 << 20


def main() -> None:
    """Measure, print the table, keep the numbers."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--listed", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kyara-load-") as name:
        make_pictures(Path(name) / "pictures", 21, count=16)
        with kyara_up(Path(name) / "state") as kyara, connect_sync(kyara.address) as channel:
            numbers = asyncio.run(_measured(kyara, JobServiceStub(channel), Path(name) / "pictures", asked.jobs, asked.listed))
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "results.json").write_text(json.dumps(numbers, indent=2) + "\n")
    table = Table("what", "measured")
    for key, value in numbers.items():
        table.add_row(key, str(value))
    Console().print(table)


async def _measured(kyara: Kyara, jobs: JobServiceStub, pictures: Path, count: int, listed: int) -> dict[str, Any]:
    client = await Client.connect(f"127.0.0.1:{kyara.base_port + 1}")
    spec = JobSpec(name="load", recipe="miniature-quick", character=CharacterJob(name="load", folder=str(pictures)))
    first = _ended(jobs, _create(jobs, spec, "first"))
    assert first.state == JobState.JOB_STATE_SUCCEEDED, first.error
    alone = [_seconds(_ended(jobs, _create(jobs, spec, f"alone-{number}"))) for number in range(ALONE)]
    before = _sizes(kyara)
    began = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as pool:
        taken = list(pool.map(lambda number: _timed(lambda: _create(jobs, spec, f"many-{number}")), range(count)))
    submitted_s = time.monotonic() - began
    while running := (await client.count_workflows("ExecutionStatus = 'Running'")).count:
        assert time.monotonic() - began < LONGEST_S, f"{running} workflows still run"
        await asyncio.sleep(0.5)
    drained_s = time.monotonic() - began
    after = _sizes(kyara)
    ids = _all_pages(jobs)[0]
    assert len(ids) == count + ALONE + 1
    history = await client.get_workflow_handle(first.id).fetch_history()
    stages = len(first.stages)
    return {
        "jobs": count,
        "stages_per_job": stages,
        "first_job_s": round(_seconds(first), 1),
        "overhead_per_stage_alone_ms": round(1000 * statistics.median(alone) / stages, 1),
        "submit_p50_ms": _percentile(taken, 50),
        "submit_p99_ms": _percentile(taken, 99),
        "submitted_per_s": round(count / submitted_s, 1),
        "drained_s": round(drained_s, 1),
        "stages_per_s": round(count * stages / drained_s, 1),
        "history_events_of_a_job": len(history.events),
        **{f"{key}_grew_per_job_kib": round((after[key] - before[key]) * 1024 / count, 1) for key in before},
        **{f"{key}_mib": round(value, 1) for key, value in after.items()},
        **_listing(kyara, jobs, first, listed),
    }


def _listing(kyara: Kyara, jobs: JobServiceStub, job: Job, count: int) -> dict[str, Any]:
    """How long pages take once there are `count` more jobs."""
    records = Records(kyara.store)
    for number in range(count):
        job.id = f"{number:016x}"
        job.created.FromMilliseconds(1_700_000_000_000 + number)
        records.create(job)
    ids, taken = _all_pages(jobs)
    assert len(ids) == len(set(ids)) >= count
    return {"listed": len(ids), "page": PAGE, "page_p50_ms": _percentile(taken, 50), "page_p99_ms": _percentile(taken, 99)}


def _all_pages(jobs: JobServiceStub) -> tuple[list[str], list[float]]:
    """Ids of all jobs, and the seconds that each page took."""
    ids: list[str] = []
    taken: list[float] = []
    token = ""
    while True:
        began = time.monotonic()
        page = jobs.ListJobs(ListJobsRequest(page_size=PAGE, page_token=token))
        taken.append(time.monotonic() - began)
        ids += [job.id for job in page.jobs]
        token = page.next_page_token
        if not token:
            return ids, taken


def _create(jobs: JobServiceStub, spec: JobSpec, request_id: str) -> str:
    return jobs.CreateJob(CreateJobRequest(request_id=request_id, spec=spec)).job.id


def _ended(jobs: JobServiceStub, job_id: str) -> Job:
    job = Job()

    def final() -> bool:
        nonlocal job
        job = jobs.GetJob(GetJobRequest(id=job_id)).job
        return job.HasField("ended")

    wait_for(final, LONGEST_S)
    return job


def _seconds(job: Job) -> float:
    return (job.ended.ToMilliseconds() - job.created.ToMilliseconds()) / 1000


def _sizes(kyara: Kyara) -> dict[str, float]:
    """MiB of memory of the engine and of jobs, and of the engine's database."""
    memory = {name: psutil.Process(kyara.pid_of(name)).memory_info().rss / MEBI for name in ("temporal", "jobs")}
    database = sum(file.stat().st_size for file in kyara.state.glob("temporal*")) / MEBI
    return {"temporal_memory": memory["temporal"], "jobs_memory": memory["jobs"], "temporal_database": database}


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _percentile(seconds: Sequence[float], percent: int) -> float:
    """In ms."""
    return round(1000 * statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1], 1)


if __name__ == "__main__":
    main()
