"""A tenant that has used up its quota is told what it used; nothing is started for it, and others go on."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from kyara.jobs.v1.jobs_pb2 import (
    CancelJobRequest,
    CreateJobRequest,
    GetJobRequest,
    Job,
    JobState,
    ListJobsRequest,
    RetryJobRequest,
    StageStatus,
)
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara_artifacts import Image, ImageSet, open_store, put_json
from kyara_jobs.records import Records
from kyara_rpc.tokens import Role
from services.jobs.tests.guarded import Guarded
from services.jobs.tests.jobs_world import Temporal, create, until, until_ended, video_spec

QUOTAS = """{"busy": {"running_jobs": 1}, "painter": {"gpu_hours": 2.5}, "hoarder": {"store_bytes": 100000},
 "frozen": {"running_jobs": 0}, "free": {}, "*": {"running_jobs": 3}}"""
DAY_S = 86_400


@pytest.fixture(scope="module")
def world(folder: Path, temporal: Temporal) -> Iterator[Guarded]:
    guarded = Guarded(folder / "quotas", temporal, "quotas", quotas=QUOTAS)
    yield guarded
    guarded.stop()


def refusal(client: JobServiceStub, salt: str) -> str:
    """What is said to a tenant whose quota is used up; nothing is created."""
    before = len(client.ListJobs(ListJobsRequest()).jobs)
    with pytest.raises(grpc.RpcError) as caught:
        create(client, video_spec(salt))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    assert len(client.ListJobs(ListJobsRequest()).jobs) == before
    return caught.value.details() or ""  # type: ignore[attr-defined]


def recorded(world: Guarded, tenant: str, days_ago: float, *stages: StageStatus) -> None:
    """A job that ended some days ago."""
    job = Job(id=uuid.uuid4().hex[:16], tenant=tenant, state=JobState.JOB_STATE_SUCCEEDED, stages=stages, spec=video_spec("old"))
    job.ended.FromSeconds(int(time.time() - days_ago * DAY_S))
    job.created.CopyFrom(job.ended)
    Records(open_store(world.store_url)).create(job)


def trained(hours: float, gpus: float, cached: bool = False) -> StageStatus:
    return StageStatus(stage="trainer", subject=uuid.uuid4().hex, seconds=hours * 3600, gpus=gpus, cached=cached)


def test_a_job_more_than_may_run_is_refused_until_one_has_ended(world: Guarded) -> None:
    client = world.of("busy", Role.SUBMIT)
    gate = world.stages.hold("runs", "embedder")
    request = CreateJobRequest(request_id=str(uuid.uuid4()), spec=video_spec("runs"))
    first = client.CreateJob(request).job.id
    assert gate.reached.wait(60)
    assert "1 of 1 jobs" in refusal(client, "one-too-many")
    assert client.CreateJob(request).job.id == first, "the same request is the same job, and no new one"
    other = world.of("another", Role.SUBMIT)
    until_ended(other, create(other, video_spec("another's")))
    gate.open()
    assert until_ended(client, first).state == JobState.JOB_STATE_SUCCEEDED
    until_ended(client, create(client, video_spec("one-after-the-other")))


def test_a_retry_needs_room_too(world: Guarded) -> None:
    client = world.of("busy", Role.SUBMIT)
    gate = world.stages.hold("retried", "embedder")
    cancelled = create(client, video_spec("retried"))
    assert gate.reached.wait(60)
    client.CancelJob(CancelJobRequest(id=cancelled))
    until_ended(client, cancelled)
    running = world.stages.hold("in-the-way", "embedder")
    second = create(client, video_spec("in-the-way"))
    assert running.reached.wait(60)
    with pytest.raises(grpc.RpcError) as caught:
        client.RetryJob(RetryJobRequest(id=cancelled))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    assert client.GetJob(GetJobRequest(id=cancelled)).job.state == JobState.JOB_STATE_CANCELLED
    running.open()
    until_ended(client, second)
    client.RetryJob(RetryJobRequest(id=cancelled))
    until(client, cancelled, [JobState.JOB_STATE_RUNNING])
    assert "1 of 1 jobs" in refusal(client, "beside-the-retried")
    gate.open()
    until_ended(client, cancelled)


def test_many_at_once_do_not_slip_through_together(world: Guarded) -> None:
    client = world.of("crowd", Role.SUBMIT)
    gate = world.stages.hold("crowd", "embedder")
    calls = [client.CreateJob.future(CreateJobRequest(request_id=str(uuid.uuid4()), spec=video_spec("crowd"))) for _ in range(8)]
    ends = [call.exception() for call in calls]
    gate.open()
    assert sum(end is None for end in ends) == 3, "as the entry for those that are not named says"
    for call in calls:
        if call.exception() is None:
            until_ended(client, call.result().job.id)


def test_hours_of_graphics_cards_count_for_thirty_days_and_not_when_nothing_was_done(world: Guarded) -> None:
    client = world.of("painter", Role.SUBMIT)
    recorded(world, "painter", 31, trained(100, 8))
    recorded(world, "painter", 29, trained(0.5, 4), trained(50, 4, cached=True), trained(70, 0))
    recorded(world, "another", 1, trained(900, 8))
    until_ended(client, create(client, video_spec("two hours so far")))
    recorded(world, "painter", 1, trained(1, 0.5))
    assert "2.5 of 2.5 hours" in refusal(client, "two and a half")


def test_bytes_are_those_of_the_pictures_too_and_each_counts_once(world: Guarded) -> None:
    client = world.of("hoarder", Role.SUBMIT)
    store = open_store(world.store_url)
    picture = store.put(b"x" * 60_000)
    one = {"sha256": picture.sha256, "size": picture.size_bytes, "width": 1, "height": 1}
    images = ImageSet(images=tuple(Image(name=str(n), **one) for n in range(3))).save(store)
    again = ImageSet(images=(Image(name="again", **one),)).save(store)
    recorded(world, "hoarder", 400, StageStatus(stage="detector", outputs={"images": images}))
    recorded(world, "hoarder", 1, StageStatus(stage="detector", outputs={"images": again}))
    until_ended(client, create(client, video_spec("room left")))
    recorded(world, "hoarder", 1, StageStatus(stage="fetcher.fetch", outputs={"video": put_json(store, "video", "y" * 50_000)}))
    assert "of 100000 bytes" in refusal(client, "no room left")


def test_a_tenant_with_an_entry_of_its_own_has_only_what_that_says(world: Guarded) -> None:
    assert "0 of 0 jobs" in refusal(world.of("frozen", Role.SUBMIT), "frozen")
    free = world.of("free", Role.SUBMIT)
    gate = world.stages.hold("free", "embedder")
    ids = [create(free, video_spec("free")) for _ in range(4)]
    gate.open()
    for job_id in ids:
        until_ended(free, job_id)
