"""Names for what a job found: given, shared by several indexes, refused, and kept over a retry."""

import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.rpc import code_pb2

from kyara.jobs.v1.jobs_pb2 import Job, JobState, NameClustersRequest, RetryJobRequest
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara_artifacts import ImageSet, open_store
from services.jobs.tests.jobs_world import Jobs, create, until, until_ended, video_spec
from services.jobs.tests.scripted_stages import Call, ScriptedStages, WorkFailed


def waiting_job(jobs: JobServiceStub, salt: str, max_characters: int = 0) -> str:
    """A job that found the indexes 0, 1 and 2, and waits."""
    job_id = create(jobs, video_spec(salt, max_characters=max_characters, wait_for_names=True))
    waiting = until(jobs, job_id, [JobState.JOB_STATE_WAITING])
    assert [character.index for character in waiting.characters] == [0, 1, 2]
    return job_id


def named(jobs: JobServiceStub, job_id: str, names: dict[int, str]) -> Job:
    """The job at its end, after these names."""
    jobs.NameClusters(NameClustersRequest(id=job_id, names=names))
    job = until_ended(jobs, job_id)
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    return job


def trained(job: Job) -> list[str]:
    """Whom LoRAs were trained of."""
    return sorted(stage.subject for stage in job.stages if stage.stage == "trainer")


@pytest.fixture(scope="module")
def waits(jobs: JobServiceStub) -> str:
    """A job that waits for as long as nobody gives it fitting names."""
    return waiting_job(jobs, "names-refused")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({7: "Rin"}, "index 7"),
        ({-1: "Rin"}, "index -1"),
        ({}, "at least one"),
        ({0: "..."}, "letter"),
        ({0: "Rin\nSucceeded"}, "control character"),
        ({0: "\x1b[2JRin"}, "control character"),
        ({0: "x" * 61}, "longer than 60"),
        ({0: "drop", 1: "Drop", 2: "drop"}, "cancel the job"),
    ],
)
def test_names_that_cannot_be_used_are_refused_with_what_to_change(
    jobs: JobServiceStub, waits: str, names: dict[int, str], words: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        jobs.NameClusters(NameClustersRequest(id=waits, names=names))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
    assert words in (caught.value.details() or "")  # type: ignore[attr-defined]


def test_only_the_named_are_trained_and_only_a_job_that_waits_takes_names(jobs: JobServiceStub) -> None:
    job_id = waiting_job(jobs, "named")
    job = named(jobs, job_id, {1: "Rin"})
    assert dict(job.names) == {1: "Rin"}
    assert trained(job) == ["Rin"]
    with pytest.raises(grpc.RpcError, match="waits for names") as caught:
        jobs.NameClusters(NameClustersRequest(id=job_id, names={0: "Aya"}))
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION  # type: ignore[attr-defined]


def test_indexes_of_one_name_become_one_character_with_the_crops_of_all(
    jobs: JobServiceStub, stages: ScriptedStages, store_url: str
) -> None:
    job = named(jobs, waiting_job(jobs, "merged"), {2: "miku", 0: "Miku", 1: "drop"})
    assert trained(job) == ["Miku"]
    first, dropped, other = job.characters
    assert (first.name, list(first.merged), first.state) == ("Miku", [2], JobState.JOB_STATE_SUCCEEDED)
    assert (other.state, dropped.state) == (JobState.JOB_STATE_UNSPECIFIED, JobState.JOB_STATE_UNSPECIFIED)
    assert dropped.name == "Demo-1", "`drop` is a word, and nobody's name"
    crops = ImageSet.load(open_store(store_url), stages.actions["merged", "curator.package"].inputs["crops"])
    assert [crop.name for crop in crops] == [*(f"0/{number}.png" for number in range(5)), *(f"2/{n}.png" for n in range(3))]
    assert {crop.index for crop in crops} == {0}
    # The outfits of both, most pictures first: 4 of index 0, 2 of index 2, then one of each.
    assert [crop.outfit for crop in crops] == [2, 0, 0, 0, 0, 3, 1, 1]


def test_when_indexes_are_only_dropped_the_others_go_on_as_they_are(jobs: JobServiceStub) -> None:
    job = named(jobs, waiting_job(jobs, "dropped"), {1: "drop"})
    assert trained(job) == ["Demo-0", "Demo-2"]


def test_the_largest_character_is_trained_first_with_all_that_is_merged_into_it(jobs: JobServiceStub) -> None:
    job = named(jobs, waiting_job(jobs, "largest", max_characters=1), {0: "Rin", 1: "Aya", 2: "Aya"})
    assert trained(job) == ["Aya"], "4 and 3 crops are more than 5"


def test_a_retried_job_merges_and_drops_as_it_was_told(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    async def fails_once(call: Call) -> None:
        if call.number == 1:
            raise WorkFailed(code_pb2.FAILED_PRECONDITION, "too few")

    stages.in_the_work("merged-again", "curator.package", fails_once)
    job_id = waiting_job(jobs, "merged-again")
    jobs.NameClusters(NameClustersRequest(id=job_id, names={0: "Rin", 1: "Rin", 2: "drop"}))
    assert until_ended(jobs, job_id).state == JobState.JOB_STATE_FAILED
    jobs.RetryJob(RetryJobRequest(id=job_id))
    job = until_ended(jobs, job_id)
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    assert trained(job) == ["Rin"]
    assert [list(character.merged) for character in job.characters] == [[1], [], []]


def test_the_command_line_shows_who_could_be_the_same_and_names_merges_and_drops(
    jobs: JobServiceStub, jobs_process: Jobs, store_url: str, tmp_path: Path
) -> None:
    def kyara(*arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("kyara")), *arguments, "--address", jobs_process.serves]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    job_id = waiting_job(jobs, "by-command")
    rows = [line.split() for line in kyara("clusters", job_id, "--store", store_url).splitlines()]
    assert rows[1:4] == [
        ["0", "Demo-0", "5", "2", "0.75", "2", "(0.12", "apart)"],
        ["1", "Demo-1", "4", "2", "0.75"],
        ["2", "Demo-2", "3", "2", "0.75", "0", "(0.12", "apart)"],
    ]
    assert (tmp_path / "clusters.png").read_bytes() == b"cast"
    told = json.loads(kyara("clusters", job_id, "--store", store_url, "--sheet", "other.png", "--json"))
    assert told["sheet"] == "other.png"
    assert (told["characters"][2]["nearest"], told["characters"][1]["nearest"]) == (0, None)
    kyara("name", job_id, "0=miku", "2=miku", "1=drop")
    job = until_ended(jobs, job_id)
    assert trained(job) == ["miku"]
    shown = [line.split() for line in kyara("show", job_id).splitlines()]
    assert ["0", "+", "2", "miku", "8", "succeeded", "160", "0.750"] in shown
    assert ["2", "miku", "3", "with", "0"] in shown
