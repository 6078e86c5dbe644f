"""Jobs outlive what dies under them: the jobs process, and Temporal itself."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from kyara.jobs.v1.jobs_pb2 import GetJobRequest, Job, JobState, WatchJobRequest
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from services.jobs.tests.jobs_world import Jobs, Temporal, create, until_ended, video_spec
from services.jobs.tests.scripted_stages import ScriptedStages


def digests(job: Job) -> dict[tuple[str, str, str], str]:
    """Digests of all that the stages of a job gave."""
    return {
        (stage.stage, stage.subject, name): output.digest.sha256 for stage in job.stages for name, output in stage.outputs.items()
    }


@pytest.fixture
def mortal(folder: Path, store_url: str, temporal: Temporal, stages: ScriptedStages) -> Iterator[Jobs]:
    """A jobs process on a task queue of its own, so that no other takes its work over."""
    process = Jobs(folder, temporal.address, store_url, stages.address, "mortal")
    process.start()
    yield process
    process.stop()


def test_a_job_ends_the_same_for_all_to_see_when_the_jobs_process_is_killed_in_the_middle(
    jobs: JobServiceStub, mortal: Jobs, stages: ScriptedStages
) -> None:
    gate = stages.hold("killed", "embedder")
    job_id = create(mortal.client(), video_spec("killed"))
    assert gate.reached.wait(60)
    mortal.kill()
    mortal.start()
    gate.open()
    told = [time.monotonic()]
    watcher = mortal.client()
    for _ in watcher.WatchJob(WatchJobRequest(id=job_id), timeout=150):
        told.append(time.monotonic())
    assert max(later - earlier for earlier, later in pairwise(told)) < 15, "a watcher must hear something every 15 s"
    survivor = watcher.GetJob(GetJobRequest(id=job_id)).job
    assert survivor.state == JobState.JOB_STATE_SUCCEEDED, survivor.error
    assert stages.works["killed", "embedder"] == 1
    untouched = until_ended(jobs, create(jobs, video_spec("untouched")))
    assert digests(survivor) == digests(untouched)


def test_a_job_goes_on_when_the_jobs_process_is_replaced(mortal: Jobs, stages: ScriptedStages) -> None:
    gate = stages.hold("replaced", "embedder")
    job_id = create(mortal.client(), video_spec("replaced"))
    assert gate.reached.wait(60)
    mortal.stop()
    mortal.start()
    gate.open()
    job = until_ended(mortal.client(), job_id)
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    assert stages.works["replaced", "embedder"] == 1
    assert not stages.cancelled & {stage.action_sha256 for stage in job.stages}


def test_a_job_and_its_watchers_outlive_temporal(jobs: JobServiceStub, temporal: Temporal, stages: ScriptedStages) -> None:
    gate = stages.hold("restarted", "embedder")
    job_id = create(jobs, video_spec("restarted"))
    watched = jobs.WatchJob(WatchJobRequest(id=job_id), timeout=120)
    assert next(watched).job.id == job_id
    assert gate.reached.wait(60)
    temporal.kill()
    time.sleep(1)
    temporal.start()
    gate.open()
    *_, last = watched
    assert last.job.state == JobState.JOB_STATE_SUCCEEDED, last.job.error
    assert stages.works["restarted", "embedder"] == 1
