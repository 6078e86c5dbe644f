"""What the command line promises without a server: sentences, exit codes, JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kyara.jobs.v1.jobs_pb2 import Job, JobState
from kyara_cli.exits import Exit, of_job
from kyara_cli.output import cluster_table, console
from kyara_cli.submit import target
from tests.servers.base_model import write_base_model

NOBODY = ("--address", "127.0.0.1:9")


def kyara(*arguments: str, endpoint: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "kyara"), *arguments]
    environment = {**os.environ, "HF_ENDPOINT": endpoint} if endpoint else None
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def test_version_is_said_to_people_and_to_programs() -> None:
    number = json.loads(kyara("version", "--json").stdout)["version"]
    assert kyara("version").stdout.strip() == f"kyara {number}"


@pytest.mark.parametrize("command", [("jobs",), ("show", "x"), ("watch", "x"), ("cancel", "x"), ("submit", "video", "x.mkv")])
def test_no_server_is_said_with_what_to_do(command: tuple[str, ...]) -> None:
    done = kyara(*command, *NOBODY)
    assert done.returncode == Exit.UNREACHABLE
    assert "kyara up" in done.stderr


def test_status_without_a_kyara_is_said(tmp_path: Path) -> None:
    done = kyara("status", "--state", str(tmp_path))
    assert done.returncode == Exit.UNREACHABLE
    assert "kyara up" in done.stderr


@pytest.mark.parametrize("names", ["miku", "x=miku", "0=", "²=miku", "9999999999=miku", "[/x]"])
def test_a_name_without_its_index_is_refused(names: str) -> None:
    done = kyara("name", "job", names, *NOBODY)
    assert done.returncode == Exit.INVALID
    assert "INDEX=NAME" in done.stderr


def test_an_index_with_two_names_is_refused() -> None:
    done = kyara("name", "job", "3=miku", "3=rin", *NOBODY)
    assert done.returncode == Exit.INVALID
    assert "index 3 is named twice" in done.stderr


def test_indexes_of_which_nothing_more_is_known_are_shown_without_it() -> None:
    with console.capture() as shown:
        console.print(cluster_table([{"index": 0, "name": "[bold]Aya[/]", "images": 23}]))
    assert shown.get().splitlines()[1].split() == ["0", "[bold]Aya[/]", "23"], "a name is no markup"


def test_folders_of_a_character_that_are_not_there_are_said(tmp_path: Path) -> None:
    for order in ((f"{tmp_path}/pictures",), ("Aya", "--anchors", f"{tmp_path}/pictures")):
        done = kyara("submit", "character", *order, *NOBODY)
        assert done.returncode == Exit.INVALID
        assert "there is no" in done.stderr and "pictures" in done.stderr


def test_an_unknown_command_or_option_is_wrong_usage() -> None:
    assert kyara("sumbit").returncode == Exit.INVALID
    assert kyara("jobs", "--limt", "3").returncode == Exit.INVALID


def test_an_unknown_model_is_not_found() -> None:
    done = kyara("models", "pull", "no-such-model")
    assert done.returncode == Exit.NOT_FOUND
    assert "kyara models list" in done.stderr


def test_models_are_listed_for_programs_too() -> None:
    names = [model["name"] for model in json.loads(kyara("models", "list", "--json").stdout)["models"]]
    assert {"miniature-base", "miniature-ccip", "miniature-clip", "miniature-detector", "miniature-tagger"} <= set(names)


def test_a_base_model_of_ones_own_is_added_listed_and_refused_with_a_sentence(tmp_path: Path) -> None:
    write_base_model(tmp_path / "base")
    add = ("models", "add", "mine", str(tmp_path / "base"), "--to", str(tmp_path / "models"), "--json")
    added = json.loads(kyara(*add).stdout)
    assert added["model"] == "own/mine" and (Path(added["folder"]) / "model_index.json").is_file()
    models = json.loads(kyara("models", "list", "--json", "--models", str(tmp_path / "models")).stdout)["models"]
    (listed,) = (model for model in models if model["name"] == "own/mine")
    assert (listed["digest"], listed["source"]) == (added["digest"], str(tmp_path / "base"))
    (tmp_path / "one.ckpt").write_bytes(b"\x80\x02}q\x00.")
    refused = kyara("models", "add", "other", str(tmp_path / "one.ckpt"), "--to", str(tmp_path / "models"))
    assert refused.returncode == Exit.INVALID
    assert "a pickle" in refused.stderr and "Traceback" not in refused.stderr
    taken = kyara("models", "add", "../mine", str(tmp_path / "base"), "--to", str(tmp_path / "models"))
    assert taken.returncode == Exit.INVALID and "no name of an own model" in taken.stderr
    away = kyara("models", "add", "far", "hub:a/b@main", "--to", str(tmp_path / "models"), endpoint="http://127.0.0.1:9")
    assert away.returncode == Exit.CANNOT_BE_DONE and "HF_ENDPOINT" in away.stderr


def test_a_model_repository_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    fill = ("models", "repository", "--to", str(tmp_path / "repository"), "--models", str(tmp_path))
    missing = kyara(*fill, "--model", "face_detect_v1.4_s")
    assert missing.returncode == Exit.CANNOT_BE_DONE
    assert "kyara models pull face_detect_v1.4_s" in missing.stderr
    assert kyara(*fill, "--model", "no-such-model").returncode == Exit.NOT_FOUND
    assert kyara(*fill, "--model", "meinamix_v11").returncode == Exit.INVALID
    assert kyara(*fill, "--recipe", "v1.4", *NOBODY).returncode == Exit.UNREACHABLE
    assert kyara("models", "repository", "--to", "gs://bucket/prefix").returncode == Exit.INVALID


def test_all_models_that_are_here_are_put_into_the_repository(tmp_path: Path) -> None:
    fill = ("models", "repository", "--to", str(tmp_path / "repository"), "--models", str(tmp_path), "--json")
    for written in (True, False):
        models = json.loads(kyara(*fill).stdout)["models"]
        assert {model["written"] for model in models} == {written}
    names = {"miniature-ccip-feat", "miniature-ccip-metrics", "miniature-detector", "miniature-tagger"}
    names |= {"miniature-clip-image", "miniature-clip-text"}
    assert names == {path.name for path in (tmp_path / "repository").iterdir()}


@pytest.mark.parametrize(
    ("state", "code", "exit_code"),
    [
        (JobState.JOB_STATE_SUCCEEDED, "", Exit.OK),
        (JobState.JOB_STATE_CANCELLED, "", Exit.CANCELLED),
        (JobState.JOB_STATE_FAILED, "INVALID_ARGUMENT", Exit.INVALID),
        (JobState.JOB_STATE_FAILED, "FAILED_PRECONDITION", Exit.CANNOT_BE_DONE),
        (JobState.JOB_STATE_FAILED, "RESOURCE_EXHAUSTED", Exit.NO_ROOM),
        # A stage that was away is the job's failure; the address that the user gave did answer.
        (JobState.JOB_STATE_FAILED, "UNAVAILABLE", Exit.JOB_FAILED),
        (JobState.JOB_STATE_FAILED, "INTERNAL", Exit.JOB_FAILED),
    ],
)
def test_the_exit_code_tells_how_a_job_ended(state: "JobState.ValueType", code: str, exit_code: Exit) -> None:
    assert of_job(Job(state=state, error_code=code)) is exit_code


def test_results_go_to_a_folder_or_to_a_hub() -> None:
    assert target("hub:someone").hub_owner == "someone"
    assert Path(target("out").folder).is_absolute()
