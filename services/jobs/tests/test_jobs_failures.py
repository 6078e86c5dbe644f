"""What becomes of a job whose stages fail, are away, are full, or get nonsense."""

import time

import pytest
from google.rpc import code_pb2

from kyara.jobs.v1.jobs_pb2 import GetJobRequest, Job, JobState, StageStatus
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from services.jobs.tests.jobs_world import create, until, until_ended, video_spec
from services.jobs.tests.scripted_stages import Behaviour, Call, ScriptedStages, WorkFailed

GATE_S = 60


def failing(code: "code_pb2.Code.ValueType", message: str, times: int = 1000, trigger: str = "") -> Behaviour:
    """A stage that fails its first `times` calls; with `trigger`, only when the params hold that word."""

    async def behave(call: Call) -> None:
        if call.number <= times and trigger.encode() in call.action.params.value:
            raise WorkFailed(code, message)

    return behave


def stage_of(job: Job, stage: str, subject: str = "") -> StageStatus:
    """One stage of a job."""
    return next(each for each in job.stages if (each.stage, each.subject) == (stage, subject))


def test_a_bad_episode_is_set_aside_with_its_reason(jobs: JobServiceStub) -> None:
    job = until_ended(jobs, create(jobs, video_spec("one-bad", "season?episodes=3&bad=1")))
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    bad = stage_of(job, "keyframer", "episode-001")
    assert (bad.state, bad.error) == (JobState.JOB_STATE_FAILED, "notes.mkv is not a video: no stream was found in it")
    assert not [stage for stage in job.stages if (stage.stage, stage.subject) == ("detector", "episode-001")]


def test_a_job_whose_episodes_are_all_bad_fails_with_their_reason(jobs: JobServiceStub) -> None:
    job = until_ended(jobs, create(jobs, video_spec("all-bad", "season?episodes=2&bad=0&bad=1")))
    assert (job.state, job.error_code) == (JobState.JOB_STATE_FAILED, "INVALID_ARGUMENT")
    assert job.error == "notes.mkv is not a video: no stream was found in it"
    assert job.HasField("ended")


@pytest.mark.parametrize("code", [code_pb2.INVALID_ARGUMENT, code_pb2.FAILED_PRECONDITION, code_pb2.RESOURCE_EXHAUSTED])
def test_what_no_second_attempt_can_help_ends_the_job_at_once_with_its_message(
    jobs: JobServiceStub, stages: ScriptedStages, code: "code_pb2.Code.ValueType"
) -> None:
    salt = f"hopeless-{code}"
    stages.in_the_work(salt, "fetcher.fetch", failing(code, "this is what to do about it"))
    job = until_ended(jobs, create(jobs, video_spec(salt)))
    assert (job.state, job.error) == (JobState.JOB_STATE_FAILED, "this is what to do about it")
    assert job.error_code == code_pb2.Code.Name(code)
    assert stages.calls[salt, "fetcher.fetch"] == 1


def test_an_error_of_the_stages_program_is_tried_three_times(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    stages.in_the_work("internal", "fetcher.fetch", failing(code_pb2.INTERNAL, "ZeroDivisionError"))
    job = until_ended(jobs, create(jobs, video_spec("internal")))
    assert (job.state, job.error_code) == (JobState.JOB_STATE_FAILED, "INTERNAL")
    assert "fetcher.fetch at" in job.error
    assert "ZeroDivisionError" in job.error
    assert stages.calls["internal", "fetcher.fetch"] == 3


def test_a_stage_that_is_unavailable_for_a_while_is_tried_again(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    stages.in_the_work("away", "embedder", failing(code_pb2.UNAVAILABLE, "the inference server is away", times=2))
    job = until_ended(jobs, create(jobs, video_spec("away")))
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    assert stage_of(job, "embedder").attempt == 3


def test_full_slots_are_waited_for_without_using_up_attempts(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    async def full_for_long(call: Call) -> None:
        if call.number <= 12:
            await call.turn_away()

    stages.at_the_door("full", "embedder", full_for_long)
    job = until_ended(jobs, create(jobs, video_spec("full")))
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    assert stages.calls["full", "embedder"] == 13
    assert stage_of(job, "embedder").attempt == 1


def test_a_stage_server_that_goes_away_in_the_middle_and_comes_back_is_called_again(
    jobs: JobServiceStub, stages: ScriptedStages
) -> None:
    gate = stages.hold("gone", "embedder")
    job_id = create(jobs, video_spec("gone"))
    assert gate.reached.wait(GATE_S)
    stages.stop()
    gate.open()
    time.sleep(2)
    stages.start()
    job = until_ended(jobs, job_id)
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    assert stage_of(job, "embedder").attempt > 1


def test_a_character_that_fails_ends_no_other(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    stages.in_the_work("one-fails", "trainer", failing(code_pb2.FAILED_PRECONDITION, "too few pictures", trigger="demo_1"))
    job = until_ended(jobs, create(jobs, video_spec("one-fails", max_characters=0)))
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    assert [(each.state, each.error) for each in job.characters] == [
        (JobState.JOB_STATE_SUCCEEDED, ""),
        (JobState.JOB_STATE_FAILED, "too few pictures"),
        (JobState.JOB_STATE_SUCCEEDED, ""),
    ]


def test_a_job_whose_characters_all_fail_fails(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    stages.in_the_work("none-trains", "trainer", failing(code_pb2.FAILED_PRECONDITION, "too few pictures"))
    job = until_ended(jobs, create(jobs, video_spec("none-trains", max_characters=0)))
    assert (job.state, job.error_code, job.error) == (JobState.JOB_STATE_FAILED, "FAILED_PRECONDITION", "too few pictures")


def test_the_progress_of_a_running_stage_is_seen_in_the_job(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    gate = stages.hold("progress", "trainer")
    job_id = create(jobs, video_spec("progress"))
    assert gate.reached.wait(GATE_S)
    time.sleep(2)
    stage = stage_of(jobs.GetJob(GetJobRequest(id=job_id)).job, "trainer", "Demo-0")
    gate.open()
    assert stage.state == JobState.JOB_STATE_RUNNING
    assert stage.progress.phase == "working"
    assert stage.progress.done >= 1
    assert stage.action_sha256
    until(jobs, job_id, [JobState.JOB_STATE_SUCCEEDED])
