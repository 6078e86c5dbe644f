"""A LoRA of a job that asks first: it waits, scored, and is published when somebody says so and not before."""

from collections.abc import Sequence

import grpc
import pytest

from kyara.curator.v1.curator_pb2 import PackageParams
from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams
from kyara.jobs.v1.jobs_pb2 import (
    Approval,
    ApproveLorasRequest,
    CancelJobRequest,
    CharacterJob,
    EvaluationJob,
    Job,
    JobSpec,
    JobState,
)
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara.publisher.v1.publisher_pb2 import Target
from services.jobs.tests.jobs_world import Jobs, create, until, until_ended, video_spec
from services.jobs.tests.scripted_stages import ScriptedStages

WAITING, GIVEN, REFUSED = Approval.APPROVAL_WAITING, Approval.APPROVAL_GIVEN, Approval.APPROVAL_REFUSED


def waiting(jobs: JobServiceStub, salt: str) -> Job:
    """A job of three characters, all trained and scored."""
    spec = video_spec(salt, max_characters=0)
    spec.approve = True
    return until(jobs, create(jobs, spec), [JobState.JOB_STATE_WAITING])


def said(jobs: JobServiceStub, job: Job, indexes: Sequence[int] = (), *, refuse: bool = False) -> Job:
    """The job after somebody said so."""
    return jobs.ApproveLoras(ApproveLorasRequest(id=job.id, characters=indexes, refuse=refuse)).job


def published(job: Job) -> list[tuple[str, str]]:
    """What was published of whom."""
    return sorted((stage.stage, stage.subject) for stage in job.stages if stage.stage.startswith("publisher"))


def test_nothing_is_published_before_it_is_approved_and_what_is_refused_never(jobs: JobServiceStub) -> None:
    job = waiting(jobs, "approve")
    assert published(job) == []
    assert [(each.approval, each.best_step, each.recscore) for each in job.characters] == [(WAITING, 160, 0.75)] * 3
    assert said(jobs, job, [1]).characters[1].approval == GIVEN
    until(jobs, job.id, [JobState.JOB_STATE_WAITING])
    said(jobs, job, refuse=True)
    ended = until_ended(jobs, job.id)
    assert ended.state == JobState.JOB_STATE_SUCCEEDED, ended.error
    assert [each.approval for each in ended.characters] == [REFUSED, GIVEN, REFUSED]
    assert published(ended) == [("publisher.character", "Demo-1"), ("publisher.dataset", ""), ("publisher.lora", "Demo-1")]


def test_a_job_whose_loras_are_all_refused_publishes_nothing(jobs: JobServiceStub) -> None:
    job = waiting(jobs, "refuse")
    said(jobs, job, refuse=True)
    ended = until_ended(jobs, job.id)
    assert (ended.state, published(ended)) == (JobState.JOB_STATE_SUCCEEDED, [])


def test_what_nobody_asked_for_is_refused_with_what_waits(jobs: JobServiceStub) -> None:
    job = waiting(jobs, "approve-refused")
    with pytest.raises(grpc.RpcError, match="index 7 does not wait for approval; those that do: 0, 1, 2"):
        said(jobs, job, [0, 7])
    jobs.CancelJob(CancelJobRequest(id=job.id))
    assert until_ended(jobs, job.id).state == JobState.JOB_STATE_CANCELLED
    with pytest.raises(grpc.RpcError, match="nothing of it waits"):
        said(jobs, job)
    with pytest.raises(grpc.RpcError, match="nothing would be published"):
        create(jobs, JobSpec(recipe="miniature", approve=True, character=CharacterJob(name="Aya", folder="/pictures")))


def test_a_job_that_waits_for_names_does_not_wait_for_approval_and_the_other_way_round(jobs: JobServiceStub) -> None:
    named = create(jobs, video_spec("names-not-approval", wait_for_names=True))
    job = until(jobs, named, [JobState.JOB_STATE_WAITING])
    with pytest.raises(grpc.RpcError, match="no LoRA of job"):
        said(jobs, job)


def test_a_decision_outlives_a_killed_jobs_server(jobs: JobServiceStub, jobs_process: Jobs) -> None:
    job = waiting(jobs, "approve-killed")
    jobs_process.kill()
    jobs_process.start()
    until(jobs, job.id, [JobState.JOB_STATE_WAITING])
    said(jobs, job, [0])
    jobs_process.kill()
    jobs_process.start()
    until(jobs, job.id, [JobState.JOB_STATE_WAITING])
    said(jobs, job)
    loras = [name for stage, name in published(until_ended(jobs, job.id)) if stage == "publisher.lora"]
    assert loras == ["Demo-0", "Demo-1", "Demo-2"]


def test_loras_from_anywhere_are_scored_and_nothing_is_trained_or_published(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    wanted = EvaluationJob(name="Aya", lora="/loras/aya.safetensors", folder="/pictures", trigger="aya brea")
    job = until_ended(jobs, create(jobs, JobSpec(recipe="miniature", salt="evaluation", evaluation=wanted)))
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    assert [stage.stage for stage in job.stages] == [
        "evaluator.pin", "crawler.resolve", "crawler.collect", "curator.package", "evaluator",
    ]  # fmt: skip
    assert [(each.name, each.best_step, each.recscore) for each in job.characters] == [("Aya", 160, 0.75)]
    inputs = stages.actions["evaluation", "evaluator"].inputs
    assert set(inputs) == {"dataset", "saves", "embeddings"}
    packed, judged = PackageParams(), EvaluateParams()
    stages.actions["evaluation", "curator.package"].params.Unpack(packed)
    stages.actions["evaluation", "evaluator"].params.Unpack(judged)
    assert (packed.trigger, packed.as_they_are, judged.trigger) == ("aya brea", True, "aya brea")


@pytest.mark.parametrize(
    ("wanted", "publish", "words"),
    [
        (EvaluationJob(name="Aya", folder="/p"), "", "evaluation.lora"),
        (EvaluationJob(name="Aya", lora="/l"), "", "evaluation.folder"),
        (EvaluationJob(name="...", lora="/l", folder="/p"), "", "evaluation.name"),
        (EvaluationJob(name="Aya", lora="/l", folder="/p"), "/out", "publishes nothing"),
    ],
)
def test_an_evaluation_that_cannot_be_done_is_refused_with_what_to_change(
    jobs: JobServiceStub, wanted: EvaluationJob, publish: str, words: str
) -> None:
    with pytest.raises(grpc.RpcError, match=words):
        create(jobs, JobSpec(recipe="miniature", evaluation=wanted, publish=Target(folder=publish) if publish else None))
