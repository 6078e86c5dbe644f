"""The JobService as its callers meet it: orders, lists, cancelling, retrying, naming, and what is refused."""

import time
import uuid

import grpc
import pytest
from google.rpc import code_pb2

from kyara.jobs.v1.jobs_pb2 import (
    CancelJobRequest,
    CharacterJob,
    CreateJobRequest,
    GetJobRequest,
    Job,
    JobSpec,
    JobState,
    ListJobsRequest,
    ListRecipesRequest,
    NameClustersRequest,
    RetryJobRequest,
    VideoJob,
)
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara.publisher.v1.publisher_pb2 import Target
from kyara_artifacts import open_store
from kyara_jobs.records import Records
from services.jobs.tests.jobs_world import create, until_ended, video_spec
from services.jobs.tests.scripted_stages import Call, ScriptedStages, WorkFailed

VIDEO = VideoJob(sources=["season"])


def refusal(call: "grpc.Future") -> tuple[grpc.StatusCode, str]:  # type: ignore[type-arg]
    """Code and message of a call that must be refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call.result()
    return caught.value.code(), caught.value.details() or ""  # type: ignore[attr-defined]


def test_the_same_request_id_gives_the_same_job(jobs: JobServiceStub) -> None:
    request = CreateJobRequest(request_id=str(uuid.uuid4()), spec=video_spec("twice"))
    first, second = jobs.CreateJob(request).job, jobs.CreateJob(request).job
    assert first.id == second.id
    until_ended(jobs, first.id)
    assert jobs.CreateJob(request).job.state == JobState.JOB_STATE_SUCCEEDED
    other = CreateJobRequest(request_id=request.request_id, spec=video_spec("another"))
    code, message = refusal(jobs.CreateJob.future(other))
    assert code == grpc.StatusCode.ALREADY_EXISTS
    assert first.id in message


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            JobSpec(name="x", recipe="v9", video=VIDEO),
            "there is no recipe 'v9'; known recipes: miniature, ",
        ),
        (JobSpec(name="x", recipe="miniature"), "`video`, `character`, `dataset` or `evaluation`"),
        (JobSpec(name="x", recipe="miniature", video=VideoJob()), "video.sources"),
        (JobSpec(name="x", recipe="miniature", video=VideoJob(sources=["a", " "])), "video.sources"),
        (JobSpec(name="x", recipe="miniature", video=VideoJob(sources=["a"], max_characters=-1)), "max_characters"),
        (JobSpec(name="!", recipe="miniature", video=VIDEO), "no letter or digit"),
        (JobSpec(name="x" * 61, recipe="miniature", video=VIDEO), "longer than 60"),
        (JobSpec(name="x", recipe="miniature", video=VIDEO, seed=-1), "seed"),
        (JobSpec(name="x", recipe="miniature", video=VIDEO, publish=Target(folder="")), "publish.folder"),
        (JobSpec(recipe="miniature", character=CharacterJob(folder="/f")), "character.name"),
        (JobSpec(recipe="miniature", character=CharacterJob(name="Aya")), "character: give either the folder"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused_with_what_to_change(
    jobs: JobServiceStub, spec: JobSpec, words: str
) -> None:
    code, message = refusal(jobs.CreateJob.future(CreateJobRequest(request_id="refused", spec=spec)))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert words in message


def test_a_job_needs_a_request_id(jobs: JobServiceStub) -> None:
    code, message = refusal(jobs.CreateJob.future(CreateJobRequest(spec=video_spec("no-id"))))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "UUID" in message


@pytest.mark.parametrize("job_id", ["nobody", "../../etc/passwd", ""])
def test_an_unknown_job_is_not_found(jobs: JobServiceStub, job_id: str) -> None:
    for call in (
        jobs.GetJob.future(GetJobRequest(id=job_id)),
        jobs.CancelJob.future(CancelJobRequest(id=job_id)),
        jobs.RetryJob.future(RetryJobRequest(id=job_id)),
        jobs.NameClusters.future(NameClustersRequest(id=job_id)),
    ):
        assert refusal(call)[0] == grpc.StatusCode.NOT_FOUND


def test_lists_are_newest_first_in_pages_without_stages(jobs: JobServiceStub) -> None:
    made = [
        create(jobs, JobSpec(recipe="miniature", salt="listed", character=CharacterJob(name="Aya", folder=f"/{n}")))
        for n in range(3)
    ]
    first = jobs.ListJobs(ListJobsRequest(page_size=2))
    second = jobs.ListJobs(ListJobsRequest(page_size=2, page_token=first.next_page_token))
    listed = [*first.jobs, *second.jobs]
    assert [job.id for job in listed][:3] == made[::-1]
    assert len({job.id for job in listed}) == len(listed)
    assert not any(job.stages for job in listed)
    for job_id in made:
        until_ended(jobs, job_id)
    assert {job.state for job in jobs.ListJobs(ListJobsRequest(page_size=3)).jobs} == {JobState.JOB_STATE_SUCCEEDED}


def test_a_job_that_the_engine_has_forgotten_is_still_shown_and_listed(jobs: JobServiceStub, store_url: str) -> None:
    old = Job(id="00f0", state=JobState.JOB_STATE_SUCCEEDED, spec=video_spec("old"))
    old.created.FromMilliseconds(1_000)
    Records(open_store(store_url)).create(old)
    assert jobs.GetJob(GetJobRequest(id=old.id)).job == old
    assert jobs.ListJobs(ListJobsRequest(page_size=200)).jobs[-1].id == old.id


def test_cancelling_stops_the_running_stage(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    gate = stages.hold("cancelled", "embedder")
    job_id = create(jobs, video_spec("cancelled"))
    assert gate.reached.wait(60)
    asked = time.monotonic()
    jobs.CancelJob(CancelJobRequest(id=job_id))
    job = until_ended(jobs, job_id)
    assert job.state == JobState.JOB_STATE_CANCELLED
    assert time.monotonic() - asked < 30, "long before any timeout"
    stage = next(stage for stage in job.stages if stage.stage == "embedder")
    assert stage.state == JobState.JOB_STATE_CANCELLED
    assert len(stages.cancelled) == 1
    assert jobs.CancelJob(CancelJobRequest(id=job_id)).job.state == JobState.JOB_STATE_CANCELLED
    gate.open()
    again = jobs.RetryJob(RetryJobRequest(id=job_id)).job
    assert again.state == JobState.JOB_STATE_QUEUED
    assert until_ended(jobs, job_id).state == JobState.JOB_STATE_SUCCEEDED


def test_a_cancelled_job_stops_its_characters_too(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    gate = stages.hold("cancelled-late", "trainer")
    job_id = create(jobs, video_spec("cancelled-late", max_characters=0))
    assert gate.reached.wait(60)
    jobs.CancelJob(CancelJobRequest(id=job_id))
    job = until_ended(jobs, job_id)
    assert job.state == JobState.JOB_STATE_CANCELLED
    assert {character.state for character in job.characters} == {JobState.JOB_STATE_CANCELLED}
    assert stages.works["cancelled-late", "trainer"] == 0


def test_a_retried_job_goes_on_from_the_results_that_it_has(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    async def fails_once(call: Call) -> None:
        if call.number == 1:
            raise WorkFailed(code_pb2.FAILED_PRECONDITION, "too dark")

    stages.in_the_work("retried", "clusterer", fails_once)
    job_id = create(jobs, video_spec("retried"))
    failed = until_ended(jobs, job_id)
    assert (failed.state, failed.error) == (JobState.JOB_STATE_FAILED, "too dark")
    jobs.RetryJob(RetryJobRequest(id=job_id))
    job = until_ended(jobs, job_id)
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    assert not job.error
    assert job.created == failed.created
    assert stages.works["retried", "embedder"] == 1
    assert next(stage for stage in job.stages if stage.stage == "embedder").cached
    code, message = refusal(jobs.RetryJob.future(RetryJobRequest(id=job_id)))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert "SUCCEEDED" in message
    assert refusal(jobs.CancelJob.future(CancelJobRequest(id=job_id)))[0] == grpc.StatusCode.FAILED_PRECONDITION


def test_max_characters_trains_the_largest_only(jobs: JobServiceStub) -> None:
    job = until_ended(jobs, create(jobs, video_spec("one-only", max_characters=1)))
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    assert [character.state for character in job.characters] == [
        JobState.JOB_STATE_SUCCEEDED,
        JobState.JOB_STATE_UNSPECIFIED,
        JobState.JOB_STATE_UNSPECIFIED,
    ]
    assert {stage.subject for stage in job.stages if stage.stage == "trainer"} == {"Demo-0"}


def test_recipes_are_listed_with_what_they_are(jobs: JobServiceStub) -> None:
    recipes = jobs.ListRecipes(ListRecipesRequest()).recipes
    assert {"miniature", "v1.0", "v1.3", "v1.4", "v1.4.1"} <= {recipe.name for recipe in recipes}
    assert all(recipe.description for recipe in recipes)
    models = {recipe.name: list(recipe.models) for recipe in recipes}
    assert models["miniature"] == ["miniature-base", "miniature-ccip", "miniature-clip", "miniature-detector", "miniature-tagger"]
    assert {"nai", "meinamix_v11", "face_detect_v1.4_s", "wd-swinv2-tagger-v3"} <= set(models["v1.4"])
