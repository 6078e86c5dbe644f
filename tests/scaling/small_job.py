"""What one small job costs the parts that all jobs share, counted while the real services do it.

An episode of 40 s, recipe `miniature-quick`, one character. Objects and bytes are counted in the store, requests by the inference
server's own metrics, events in the engine's histories. What is counted while a stage works is booked to that stage.
"""

import asyncio
import os
import re
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from google.protobuf import json_format
from temporalio.client import Client

from kyara.jobs.v1.jobs_pb2 import CreateJobRequest, GetJobRequest, Job, JobSpec, JobState, VideoJob
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara.publisher.v1.publisher_pb2 import Target
from kyara_artifacts import FileSet, ImageSet
from kyara_jobs.recipe import recipe_named
from kyara_miniature.episode import make_episode
from kyara_rpc import connect_sync
from tests.servers.kyara import Kyara, kyara_up
from tests.servers.processes import free_port

EPISODE_S = 40
RECIPE = "miniature-quick"
POLL_S = 0.2
LONGEST_S = 900
MEBI = 1 << 20
REQUESTS = re.compile(r'^kyara_grpc_call_seconds_count\{.*ModelInfer".*\} (\S+)$', re.MULTILINE)
FOLLOWER = "kyara_stage.child"


@dataclass
class Meter:
    """Counts so far."""

    objects: int = 0
    bytes: int = 0
    requests: int = 0

    def minus(self, other: "Meter") -> "Meter":
        """What was counted since `other`."""
        return Meter(self.objects - other.objects, self.bytes - other.bytes, self.requests - other.requests)

    def add(self, other: "Meter") -> None:
        """Count on."""
        self.objects, self.bytes, self.requests = (
            self.objects + other.objects,
            self.bytes + other.bytes,
            self.requests + other.requests,
        )


def measured() -> dict[str, Any]:
    """Do the job, and count."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kyara-costs-")))
        metrics = f"127.0.0.1:{free_port()}"
        os.environ["KYARA_INFERENCE_METRICS_LISTEN"] = metrics
        make_episode(folder / "episode.mkv", 11, seconds=EPISODE_S, main=2, width=960, height=540)
        kyara = stack.enter_context(kyara_up(folder / "state"))
        jobs = JobServiceStub(stack.enter_context(connect_sync(kyara.address)))
        return _Count(kyara, jobs, f"http://{metrics}/metrics").of(folder / "episode.mkv", folder / "published")


class _Count:
    def __init__(self, kyara: Kyara, jobs: JobServiceStub, metrics: str) -> None:
        self._kyara = kyara
        self._jobs = jobs
        self._metrics = metrics
        self._by_stage: defaultdict[str, Meter] = defaultdict(Meter)
        self._follower_mib = 0.0

    def of(self, episode: Path, published: Path) -> dict[str, Any]:
        """The counts of one job."""
        video = VideoJob(sources=[str(episode)], max_characters=1)
        spec = JobSpec(name="costs", recipe=RECIPE, publish=Target(folder=str(published)), video=video)
        job = self._followed(self._jobs.CreateJob(CreateJobRequest(request_id="costs", spec=spec)).job.id)
        assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
        events = asyncio.run(_events(self._kyara))
        return {
            "episode_s": EPISODE_S,
            "job_s": round((job.ended.ToMilliseconds() - job.created.ToMilliseconds()) / 1000, 1),
            "stages": len(job.stages),
            "workflow_events": events,
            "trainer_follower_mib": round(self._follower_mib, 1),
            "units": self._units(job),
            "by_stage": {stage: asdict(meter) for stage, meter in self._by_stage.items()},
        }

    def _followed(self, job_id: str) -> Job:
        before, running = self._read(), "start"
        began = time.monotonic()
        while True:
            job = self._jobs.GetJob(GetJobRequest(id=job_id)).job
            working = sorted({stage.stage for stage in job.stages if stage.state == JobState.JOB_STATE_RUNNING})
            now = self._read()
            self._by_stage[running].add(now.minus(before))
            before, running = now, "+".join(working) or running
            if running == "trainer":
                self._follower_mib = max(self._follower_mib, self._followers_mib())
            if job.HasField("ended"):
                return job
            assert time.monotonic() - began < LONGEST_S, json_format.MessageToJson(job)
            time.sleep(POLL_S)

    def _read(self) -> Meter:
        sizes = [file.stat().st_size for file in _files(self._kyara.state / "store")]
        page = httpx.get(self._metrics, trust_env=False).text
        return Meter(len(sizes), sum(sizes), int(sum(map(float, REQUESTS.findall(page)))))

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
            "checkpoints": (recipe.training.steps.count(0) - 1) // recipe.training.checkpoint_every,
            "saves": len(FileSet.load(store, outputs["trainer"]["saves"])),
            "previews": len(ImageSet.load(store, outputs["evaluator"]["previews"])),
        }


def _files(root: Path) -> list[Path]:
    """The store's objects; what is only being written is none yet."""
    return [file for part in ("blobs", "records") for file in (root / part).rglob("*") if file.is_file()]


async def _events(kyara: Kyara) -> dict[str, int]:
    """Events in each workflow's history: the job's own, its episode's, its character's."""
    client = await Client.connect(f"127.0.0.1:{kyara.base_port + 1}")
    return {
        each.workflow_type: len((await client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()).events)
        async for each in client.list_workflows("")
    }
