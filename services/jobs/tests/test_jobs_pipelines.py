"""Whole jobs, from the order to the record, over real servers."""

from kyara.curator.v1.curator_pb2 import PackageParams
from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams
from kyara.jobs.v1.jobs_pb2 import (
    CharacterJob,
    DatasetJob,
    JobSpec,
    JobState,
    WatchJobRequest,
)
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara.trainer.v1.trainer_pb2 import TrainParams
from services.jobs.tests.jobs_world import create, until_ended, video_spec
from services.jobs.tests.scripted_stages import ScriptedStages


def test_a_video_job_walks_through_every_stage_to_a_scored_lora_per_character(
    jobs: JobServiceStub, stages: ScriptedStages
) -> None:
    job = until_ended(jobs, create(jobs, video_spec("whole", "season?episodes=2", max_characters=0)))
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    names = {(stage.stage, stage.subject) for stage in job.stages}
    assert {("keyframer", "episode-000"), ("keyframer", "episode-001"), ("clusterer", ""), ("publisher.dataset", "")} <= names
    of_each = ("curator.package", "publisher.character", "trainer", "evaluator", "publisher.lora")
    assert {(stage, name) for stage in of_each for name in ("Demo-0", "Demo-1", "Demo-2")} <= names
    assert all(stage.state == JobState.JOB_STATE_SUCCEEDED and stage.action_sha256 for stage in job.stages)
    assert [(each.name, each.images, each.best_step, each.recscore) for each in job.characters] == [
        ("Demo-0", 5, 160, 0.75),
        ("Demo-1", 4, 160, 0.75),
        ("Demo-2", 3, 160, 0.75),
    ]
    params = TrainParams()
    stages.actions["whole", "trainer"].params.Unpack(params)
    assert (params.steps, params.base_model) == (240, "miniature-base")
    judged = EvaluateParams()
    stages.actions["whole", "evaluator"].params.Unpack(judged)
    # The last of each stage, which need not be of one character: prompts call it as it was taught.
    assert {judged.trigger, params.trigger} <= {"demo_0", "demo_1", "demo_2"}
    shown = {"dataset", "saves", "previews", "scores", "sheet", "curve", "report"}
    assert set(stages.actions["whole", "publisher.lora"].inputs) == shown


def test_a_folder_of_pictures_becomes_one_lora(jobs: JobServiceStub) -> None:
    spec = JobSpec(recipe="miniature", salt="folder", character=CharacterJob(name="Aya", folder="/pictures"))
    job = until_ended(jobs, create(jobs, spec))
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    assert [stage.stage for stage in job.stages] == [
        "crawler.resolve", "crawler.collect", "detector", "curator.web", "curator.package", "trainer", "evaluator",
    ]  # fmt: skip
    assert [(each.name, each.images, each.best_step) for each in job.characters] == [("Aya", 6, 160)]


def test_pictures_that_surely_show_a_character_go_to_its_cleaning(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    aya = CharacterJob(name="Aya", folder="/pictures", anchors="/sure")
    job = until_ended(jobs, create(jobs, JobSpec(recipe="miniature", salt="anchors", character=aya)))
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    done = {(stage.stage, stage.subject): stage for stage in job.stages}
    assert stages.actions["anchors", "curator.web"].inputs["anchors"] == done["detector", "anchors"].outputs["images"]


def test_watch_shows_each_change_and_ends_with_the_job(jobs: JobServiceStub) -> None:
    job_id = create(jobs, video_spec("watched"))
    seen = [response.job for response in jobs.WatchJob(WatchJobRequest(id=job_id), timeout=120)]
    assert seen[-1].state == JobState.JOB_STATE_SUCCEEDED
    counts = [len(job.stages) for job in seen]
    assert len(seen) > 2
    assert counts == sorted(counts)


def test_a_dataset_that_is_there_already_is_trained_on_as_it_is(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    own = "extends: miniature\ntraining: {steps: {rule: fixed, steps: 7}}\n"
    made = DatasetJob(name="Aya", folder="/made/dataset-raw.zip")
    job = until_ended(jobs, create(jobs, JobSpec(recipe="mine", recipe_yaml=own, salt="made", dataset=made)))
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    assert [stage.stage for stage in job.stages] == [
        "crawler.resolve", "crawler.collect", "curator.package", "trainer", "evaluator",
    ]  # fmt: skip
    packaged, trained = PackageParams(), TrainParams()
    stages.actions["made", "curator.package"].params.Unpack(packaged)
    stages.actions["made", "trainer"].params.Unpack(trained)
    assert packaged.as_they_are and trained.steps == 7


def test_a_recipe_with_patience_trains_on_until_saves_are_of_no_more_use(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    own = "extends: miniature\ntraining: {patience: 2, saves: 9}\n"
    made = DatasetJob(name="Aya", folder="/made")
    job = until_ended(jobs, create(jobs, JobSpec(recipe="mine", recipe_yaml=own, salt="patient", dataset=made)))
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    trained = TrainParams()
    last = stages.actions["patient", "trainer"]
    last.params.Unpack(trained)
    assert (trained.stop_after, trained.saves, trained.steps) == (4, 9, 240), "two of use, then two of none"
    assert [stages.calls["patient", stage] for stage in ("trainer", "evaluator")] == [2, 2], "the first three at once"
    assert "checkpoint" in last.inputs
    assert "drawn" in stages.actions["patient", "evaluator"].inputs
