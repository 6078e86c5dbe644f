"""References: indexes that show a known character get its name, and what is uncertain is left to a person."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest

from kyara.jobs.v1.jobs_pb2 import CreateJobRequest, Job, JobState, NameClustersRequest, Reference
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from services.jobs.tests.jobs_world import Jobs, create, until, until_ended, video_spec
from services.jobs.tests.scripted_stages import ScriptedStages

KNOWN = [Reference(name="miku", folder="/miku"), Reference(name="luka", folder="/luka")]


def trained(job: Job) -> list[str]:
    return sorted(stage.subject for stage in job.stages if stage.stage == "trainer")


def with_references(jobs: JobServiceStub, salt: str, **video: Any) -> str:
    return create(jobs, video_spec(salt, max_characters=0, references=KNOWN, **video))


def test_a_job_that_does_not_wait_goes_on_with_the_names_that_are_certain(jobs: JobServiceStub, stages: ScriptedStages) -> None:
    job = until_ended(jobs, with_references(jobs, "recognised"))
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    assert [character.name for character in job.characters] == ["miku", "Demo-1", "Demo-2"]
    assert [(each.likeness.name, each.likeness.certain) for each in job.characters] == [
        ("miku", True),
        ("luka", False),
        ("luka", False),
    ]
    assert trained(job) == ["Demo-1", "Demo-2", "miku"]
    asked = stages.actions["recognised", "clusterer.recognise"]
    assert {"clusters", "vectors", "reference_000", "reference_001"} == set(asked.inputs)
    assert not dict(job.names), "nobody gave a name"


def test_what_is_uncertain_is_left_to_a_person_whose_word_goes_first(jobs: JobServiceStub) -> None:
    job_id = with_references(jobs, "recognised-and-waits", wait_for_names=True)
    waiting = until(jobs, job_id, [JobState.JOB_STATE_WAITING])
    assert waiting.characters[1].likeness.score == pytest.approx(0.55)
    jobs.NameClusters(NameClustersRequest(id=job_id, names={1: "miku"}))
    job = until_ended(jobs, job_id)
    assert trained(job) == ["miku"], "index 2 has no name and is left out"
    assert list(job.characters[0].merged) == [1]


def test_a_person_can_say_that_a_recognised_index_is_somebody_else(jobs: JobServiceStub) -> None:
    job_id = with_references(jobs, "recognised-wrongly", wait_for_names=True)
    until(jobs, job_id, [JobState.JOB_STATE_WAITING])
    jobs.NameClusters(NameClustersRequest(id=job_id, names={0: "Rin", 1: "drop"}))
    job = until_ended(jobs, job_id)
    assert trained(job) == ["Rin"]
    assert job.characters[0].likeness.name == "miku"


def test_a_reference_that_cannot_be_used_ends_the_job_before_anything_is_fetched(
    jobs: JobServiceStub, stages: ScriptedStages
) -> None:
    references = [KNOWN[0], Reference(name="luka", folder="/nowhere")]
    job = until_ended(jobs, create(jobs, video_spec("no-reference", references=references)))
    assert job.state == JobState.JOB_STATE_FAILED
    assert job.error_code == "INVALID_ARGUMENT"
    assert job.error.startswith("reference luka: /nowhere is no folder")
    assert ("no-reference", "fetcher.resolve") not in stages.actions


@pytest.mark.parametrize(
    ("references", "words"),
    [
        ([Reference(name="...", folder="/a")], "video.references[0]: name '...' has no letter"),
        ([Reference(name="miku", folder=" ")], "video.references[0]: name the folder that holds pictures of miku"),
        ([KNOWN[0], Reference(name="Miku", folder="/b")], "video.references[1]: 'Miku' is there already"),
        ([Reference(name="drop", folder="/a")], "is the word that leaves an index out"),
    ],
)
def test_references_that_make_no_sense_are_refused(jobs: JobServiceStub, references: list[Reference], words: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        jobs.CreateJob(CreateJobRequest(request_id=words, spec=video_spec("refused", references=references)))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
    assert words in (caught.value.details() or "")  # type: ignore[attr-defined]


def test_the_command_line_shows_the_score_and_asks_where_it_is_not_certain(
    jobs: JobServiceStub, jobs_process: Jobs, store_url: str, tmp_path: Path
) -> None:
    def kyara(*arguments: str, code: int = 0) -> str:
        command = [str(Path(sys.executable).with_name("kyara")), *arguments, "--address", jobs_process.serves]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    submitted = ("submit", "video", "season", "--recipe", "miniature", "--wait-for-names", "--salt", "shown", "--no-watch")
    job_id = json.loads(kyara(*submitted, "--reference", "miku=mikus", "--reference", "luka=/lukas", "--json"))["id"]
    waiting = until(jobs, job_id, [JobState.JOB_STATE_WAITING])
    assert [known.folder for known in waiting.spec.video.references] == [str(tmp_path / "mikus"), "/lukas"]
    rows = [line.split() for line in kyara("clusters", job_id, "--store", store_url).splitlines()]
    assert [row[-2:] for row in rows[1:4]] == [["miku", "0.97"], ["luka?", "0.55"], ["luka?", "0.02"]]
    told = json.loads(kyara("clusters", job_id, "--store", store_url, "--json"))["characters"]
    assert told[0]["likeness"] == {"name": "miku", "score": 0.97, "certain": True}
    assert "luka? 0.55" in kyara("show", job_id)
    kyara("cancel", job_id)
    assert "NAME=FOLDER" in kyara(*submitted, "--reference", "miku", code=2)
