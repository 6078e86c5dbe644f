"""What one small job costs the parts that all jobs share, counted while the real services do it.

An episode of 40 s, recipe `miniature-quick`, one character. The S3 server and the inference server count by themselves, in their
metrics; events are counted in the engine's histories. What is counted while a stage works is booked to that stage.
"""

import asyncio
import os
import re
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from temporalio.client import Client

from kyara.jobs.v1.jobs_pb2 import CreateJobRequest, Job, JobSpec, JobState, VideoJob, WatchJobRequest
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara.publisher.v1.publisher_pb2 import Target
from kyara_artifacts import FileSet, ImageSet
from kyara_jobs.recipe import recipe_named
from kyara_miniature.episode import make_episode
from kyara_rpc import connect_sync
from tests.servers.kyara import Kyara, kyara_up
from tests.servers.processes import free_port
from tests.servers.s3 import s3_server

EPISODE_S = 40
RECIPE = "miniature-quick"
LONGEST_S = 900
MEBI = 1 << 20
BUCKET = "kyara"
S3 = "SeaweedFS_s3_"
FOLLOWER = "kyara_stage.child"


@dataclass
class Meter:
    """Counts so far."""

    puts: int = 0
    gets: int = 0
    """Looks whether an object is there among them."""
    bytes_put: int = 0
    bytes_got: int = 0
    models: int = 0
    """Requests to the inference server."""

    def plus(self, other: "Meter", sign: int = 1) -> "Meter":
        """Both together, or with -1 what was counted since `other`."""
        return Meter(*(mine + sign * its for mine, its in zip(astuple(self), astuple(other), strict=True)))


def measured() -> dict[str, Any]:
    """Do the job, and count."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kyara-costs-")))
        s3 = stack.enter_context(s3_server(folder))
        inference = f"127.0.0.1:{free_port()}"
        os.environ.update({"KYARA_INFERENCE_METRICS_LISTEN": inference, **s3.environment})
        s3.client().make_bucket(BUCKET)
        make_episode(folder / "episode.mkv", 11, seconds=EPISODE_S, main=2, width=960, height=540)
        kyara = stack.enter_context(kyara_up(folder / "state", store=s3.url(BUCKET)))
        jobs = JobServiceStub(stack.enter_context(connect_sync(kyara.address)))
        count = _Count(kyara, jobs, (s3.metrics, f"http://{inference}/metrics"))
        return count.of(folder / "episode.mkv", folder / "published")


class _Count:
    def __init__(self, kyara: Kyara, jobs: JobServiceStub, pages: tuple[str, str]) -> None:
        self._kyara = kyara
        self._jobs = jobs
        self._pages = pages
        self._by_stage: defaultdict[str, Meter] = defaultdict(Meter)
        self._follower_mib = 0.0

    def of(self, episode: Path, published: Path) -> dict[str, Any]:
        """The counts of one job."""
        video = VideoJob(sources=[str(episode)], max_characters=1)
        spec = JobSpec(name="costs", recipe=RECIPE, publish=Target(folder=str(published)), video=video)
        job = self._followed(self._jobs.CreateJob(CreateJobRequest(request_id="costs", spec=spec)).job.id)
        assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
        return {
            "episode_s": EPISODE_S,
            "job_s": round((job.ended.ToMilliseconds() - job.created.ToMilliseconds()) / 1000, 1),
            "stages": len(job.stages),
            "workflow_events": asyncio.run(_events(self._kyara)),
            "trainer_follower_mib": round(self._follower_mib, 1),
            "units": self._units(job),
            "by_stage": {stage: asdict(meter) for stage, meter in self._by_stage.items()},
        }

    def _followed(self, job_id: str) -> Job:
        """The job, once it has ended; watching it reads nothing from the store but once."""
        job, before, running = Job(), self._read(), "start"
        for answer in self._jobs.WatchJob(WatchJobRequest(id=job_id), timeout=LONGEST_S):
            job, now = answer.job, self._read()
            self._by_stage[running] = self._by_stage[running].plus(now.plus(before, -1))
            working = sorted({stage.stage for stage in job.stages if stage.state == JobState.JOB_STATE_RUNNING})
            before, running = now, "+".join(working) or running
            if running == "trainer":
                self._follower_mib = max(self._follower_mib, self._followers_mib())
        return job

    def _read(self) -> Meter:
        s3, inference = (httpx.get(page, trust_env=False).text for page in self._pages)
        asked = rf'{S3}request_total{{bucket="{BUCKET}",.*type='
        moved = rf"{S3}bucket_traffic_"
        return Meter(
            puts=_sum(rf'{asked}"PUT"}}', s3),
            gets=_sum(rf'{asked}"GET"}}', s3),
            bytes_put=_sum(rf'{moved}received_bytes_total{{bucket="{BUCKET}"}}', s3),
            bytes_got=_sum(rf'{moved}sent_bytes_total{{bucket="{BUCKET}"}}', s3),
            models=_sum(r'kyara_grpc_call_seconds_count{.*ModelInfer".*}', inference),
        )

    def _followers_mib(self) -> float:
        children = psutil.Process(self._kyara.pid_of("trainer")).children()
        return sum(each.memory_full_info().pss for each in children if FOLLOWER in " ".join(each.cmdline())) / MEBI

    def _units(self, job: Job) -> dict[str, int]:
        """How many of each thing the job made, which the counts grow with."""
        outputs = {stage.stage: stage.outputs for stage in job.stages}
        store, recipe = self._kyara.store, recipe_named(RECIPE)
        return {
            "frames": len(ImageSet.load(store, outputs["keyframer"]["frames"])),
            "pictures": len(ImageSet.load(store, outputs["curator.package"]["dataset"])),
            "checkpoints": (recipe.training.steps.count(0, recipe.training.batch_size) - 1) // recipe.training.checkpoint_every,
            "saves": len(FileSet.load(store, outputs["trainer"]["saves"])),
            "previews": len(ImageSet.load(store, outputs["evaluator"]["previews"])),
        }


def _sum(series: str, page: str) -> int:
    """Sum of the values on a page of metrics of the series that match."""
    return int(sum(map(float, re.findall(rf"^{series} (\S+)$", page, re.MULTILINE))))


async def _events(kyara: Kyara) -> dict[str, int]:
    """Events in each workflow's history: the job's own, its episode's, its character's."""
    client = await Client.connect(f"127.0.0.1:{kyara.base_port + 1}")
    return {
        each.workflow_type: len((await client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()).events)
        async for each in client.list_workflows("")
    }
