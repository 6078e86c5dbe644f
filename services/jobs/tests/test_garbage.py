"""What is garbage goes, and what a job leads to stays, whatever runs meanwhile."""

import asyncio
import os
import random
import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from kyara.jobs.v1.jobs_pb2 import CollectGarbageRequest, CollectGarbageResponse, ForgetJobRequest, GetJobRequest, Job, JobState
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara.stage.v1.stage_pb2 import Action, ArtifactRef, Result
from kyara_artifacts import Image, ImageSet, Store, digest_of, open_store, put_json
from kyara_jobs.garbage import Collector, Rules
from kyara_jobs.records import Records
from kyara_stage.context import checkpoint_key
from kyara_stage.results import keep_result, kept_result
from services.jobs.tests.jobs_world import create, until_ended, video_spec
from tests.servers.s3 import S3Server, s3_server

NOW = timedelta(0)
"""A grace that leaves nothing out: all that is there is old."""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "directory":
        return open_store(f"file://{tmp_path}/store")
    server: S3Server = request.getfixturevalue("s3")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return open_store(server.url(f"garbage-{uuid.uuid4().hex}"))


def pictures(store: Store, *contents: str) -> ArtifactRef:
    """An image set over blobs of these contents."""
    digests = store.put_all([content.encode() for content in contents])
    images = [Image(name=each.sha256, sha256=each.sha256, size=each.size_bytes, width=1, height=1) for each in digests]
    return ImageSet(images=tuple(images)).save(store)


def recorded(store: Store, name: str, *outputs: ArtifactRef, state: JobState.ValueType = JobState.JOB_STATE_SUCCEEDED) -> Job:
    """A job that gave these."""
    job = Job(id=name, state=state)
    job.created.FromDatetime(datetime.now(UTC))
    if state == JobState.JOB_STATE_SUCCEEDED:
        job.ended.FromDatetime(datetime.now(UTC) - timedelta(days=10))
    for number, output in enumerate(outputs):
        job.stages.add(stage=f"stage_{number}").outputs["images"].CopyFrom(output)
    Records(store).create(job)
    return job


def collect(
    store: Store, grace: timedelta = NOW, forget_after: timedelta | None = None, dry_run: bool = False
) -> CollectGarbageResponse:
    async def look(job: Job) -> Job:
        return job

    return collect_with(Collector(store, look, settle_s=0), Rules(grace, forget_after, dry_run))


def collect_with(collector: Collector, rules: Rules) -> CollectGarbageResponse:
    time.sleep(1.1)  # S3 tells whole seconds

    async def all_told() -> list[CollectGarbageResponse]:
        return [CollectGarbageResponse.FromString(done.SerializeToString()) async for done in collector.collect(rules)]

    done = asyncio.run(all_told())[-1]
    assert done.phase == "done"
    return done


def there(store: Store) -> set[str]:
    return {blob.name for blob in store.list_blobs()}


def shas(contents: Iterable[str]) -> set[str]:
    return {digest_of(content.encode()).sha256 for content in contents}


def test_what_a_job_leads_to_stays_and_the_rest_goes(store: Store) -> None:
    kept, gone = pictures(store, "a", "b", "c"), pictures(store, "c", "d")
    recorded(store, "1", kept)
    done = collect(store)
    assert there(store) == shas("abc") | {kept.digest.sha256}
    assert (done.jobs, done.blobs, done.bytes) == (0, 2, gone.digest.size_bytes + 1)
    assert done.blobs_kept == 4


def test_a_dry_run_counts_the_same_and_removes_nothing(store: Store) -> None:
    recorded(store, "1", pictures(store, "a"))
    recorded(store, "2", pictures(store, "b"))
    keep_result(store, "9" * 64, Action(stage="x"), Result(outputs={"images": pictures(store, "c")}))
    before, records = there(store), list(store.list_records())
    counted = collect(store, forget_after=timedelta(days=1), dry_run=True)
    assert (there(store), list(store.list_records())) == (before, records)
    assert collect(store, forget_after=timedelta(days=1)) == counted
    assert (counted.jobs, counted.records, counted.blobs) == (2, 1, 6)
    assert there(store) == set()
    assert list(store.list_records()) == []


def test_what_is_younger_than_the_grace_stays_with_all_it_leads_to(store: Store) -> None:
    """A stage that works has put blobs, and a checkpoint, that nothing else names yet."""
    pictures(store, "a", "b")
    checkpoint = put_json(store, "state", {"done": [{"sha256": digest.sha256} for digest in store.put_all([b"c", b"d"])]})
    store.put_record(checkpoint_key("1" * 64), checkpoint.SerializeToString())
    before = there(store)
    assert collect(store, grace=timedelta(days=7)).blobs == 0
    assert there(store) == before
    collect(store)
    assert there(store) == set()


def test_an_old_checkpoint_that_is_young_again_leads_to_old_blobs(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/store")
    checkpoint = put_json(store, "state", [store.put(b"a").sha256])
    store.put(b"b")
    for blob in (tmp_path / "store/blobs").rglob("*"):
        os.utime(blob, (0, 0))
    store.put_record(checkpoint_key("1" * 64), checkpoint.SerializeToString())
    collect(store, grace=timedelta(days=7))
    assert there(store) == shas("a") | {checkpoint.digest.sha256}


def test_a_kept_result_stays_as_long_as_a_job_leads_to_all_of_it(store: Store) -> None:
    shared, lost = pictures(store, "a"), pictures(store, "b")
    recorded(store, "1", shared)
    keep_result(store, "1" * 64, Action(stage="x"), Result(outputs={"images": shared}))
    keep_result(store, "2" * 64, Action(stage="y"), Result(outputs={"images": shared, "more": lost}))
    assert collect(store).records == 1
    assert kept_result(store, "1" * 64)
    assert kept_result(store, "2" * 64) is None


def test_a_job_answered_from_a_result_that_is_just_going_loses_nothing(store: Store) -> None:
    """The job shows no output when it is looked at first; when the result is gone, it does."""
    images = pictures(store, "a", "b")
    keep_result(store, "1" * 64, Action(stage="x"), Result(outputs={"images": images}))
    recorded(store, "1", state=JobState.JOB_STATE_RUNNING)
    looks = []

    async def look(job: Job) -> Job:
        looks.append(job)
        if len(looks) > 1:
            job.stages.add(stage="x").outputs["images"].CopyFrom(images)
        return job

    done = collect_with(Collector(store, look, settle_s=0), Rules(NOW, None, dry_run=False))
    assert (done.records, done.blobs) == (1, 0)
    assert there(store) == shas("ab") | {images.digest.sha256}


def test_while_the_engine_cannot_be_asked_nothing_goes(store: Store) -> None:
    images = pictures(store, "a")
    recorded(store, "1", state=JobState.JOB_STATE_RUNNING)

    async def look(job: Job) -> Job:
        raise ConnectionError(f"the engine is away: nobody knows of job {job.id}")

    with pytest.raises(ConnectionError):
        collect_with(Collector(store, look, settle_s=0), Rules(NOW, None, dry_run=False))
    assert there(store) == shas("a") | {images.digest.sha256}


def test_only_jobs_that_ended_long_ago_are_forgotten(store: Store) -> None:
    recorded(store, "old", pictures(store, "a"))
    recorded(store, "running", state=JobState.JOB_STATE_RUNNING)
    assert collect(store, forget_after=timedelta(days=11)).jobs == 0
    assert collect(store, forget_after=timedelta(days=9)).jobs == 1
    assert [job.id for job in Records(store).page(10, "", None)[0]] == ["running"]
    assert there(store) == set()


def test_a_damaged_manifest_stops_no_collection(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/store")
    broken, whole = pictures(store, "a"), pictures(store, "b")
    recorded(store, "1", broken, whole)
    (file,) = (tmp_path / "store/blobs").rglob(broken.digest.sha256)
    file.write_bytes(b"{")
    collect(store)
    assert there(store) >= shas("b") | {whole.digest.sha256}


@pytest.mark.parametrize("seed", range(5))
def test_of_any_jobs_exactly_what_they_lead_to_stays(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    store = open_store(f"file://{tmp_path}/store")
    contents = [f"blob {number}" for number in range(60)]
    sets = [rng.sample(contents, rng.randrange(1, 9)) for _ in range(30)]
    refs = [pictures(store, *each) for each in sets]
    used: set[int] = set()
    for number in range(10):
        mine = rng.sample(range(30), rng.randrange(4))
        used |= set(mine)
        recorded(store, str(number), *(refs[each] for each in mine))
    collect(store)
    assert there(store) == {refs[each].digest.sha256 for each in used}.union(*(shas(sets[each]) for each in used))


def test_over_the_wire_a_job_is_forgotten_and_what_it_led_to_is_garbage(jobs: JobServiceStub, folder: Path) -> None:
    job = until_ended(jobs, create(jobs, video_spec("garbage")))
    assert job.state == JobState.JOB_STATE_SUCCEEDED
    before = list(jobs.CollectGarbage(CollectGarbageRequest(dry_run=True)))[-1]
    assert (before.phase, before.blobs) == ("done", 0)
    jobs.ForgetJob(ForgetJobRequest(id=job.id))
    with pytest.raises(grpc.RpcError, match="there is no job"):
        jobs.GetJob(GetJobRequest(id=job.id))
    for blob in (folder / "store/blobs").rglob("*"):
        os.utime(blob, (0, 0))
    assert list(jobs.CollectGarbage(CollectGarbageRequest(dry_run=True)))[-1].blobs > 0


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (CollectGarbageRequest(grace_days=1), "2 or more"),
        (CollectGarbageRequest(forget_after_days=-1), "0, which keeps all jobs"),
    ],
)
def test_rules_that_make_no_sense_are_refused(jobs: JobServiceStub, asked: CollectGarbageRequest, why: str) -> None:
    with pytest.raises(grpc.RpcError, match=why):
        list(jobs.CollectGarbage(asked))
