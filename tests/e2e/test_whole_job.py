"""An episode in, scored LoRAs out, through the real services, engine and models."""

import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from safetensors import safe_open

from kyara.stage.v1.stage_pb2 import ArtifactRef, Digest
from kyara_artifacts import ImageSet, get_json
from kyara_cli.demo.results import identities_of
from kyara_miniature.cast import make_character
from kyara_miniature.episode import EpisodeTruth
from kyara_miniature.pictures import draw_pictures, make_pictures
from tests.servers.kyara import Kyara, outputs_of, seeder, wait_for

QUICK = ("--recipe", "miniature-quick")


@pytest.fixture(scope="module")
def job(kyara: Kyara, episode: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("published")
    with seeder(episode) as magnet:
        job_id = kyara.submit("video", magnet, "--name", "short", *QUICK, "--max-characters", "1", "--publish", str(folder))
        ended = kyara.ended(job_id)
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended.get("error")
    return {**ended, "folder": folder}


def test_a_magnet_link_becomes_a_scored_lora(kyara: Kyara, job: dict) -> None:
    character = job["characters"][0]
    assert character["state"] == "JOB_STATE_SUCCEEDED"
    assert character["best_step"] in (12, 24)
    evaluator = next(stage for stage in job["stages"] if stage["stage"] == "evaluator")
    scores = get_json(kyara.store, _ref(evaluator["outputs"]["scores"]))
    assert [step["step"] for step in scores["steps"]] == [12, 24]


def test_the_published_lora_is_a_lora_of_the_community_s_format(job: dict) -> None:
    files = sorted(Path(job["folder"]).rglob("*.safetensors"))
    assert files
    with safe_open(files[0], "pt") as lora:
        assert lora.metadata()["ss_network_module"] == "networks.lora"
        assert any(key.startswith("lora_unet_") for key in lora.keys())  # noqa: SIM118


def test_the_same_job_is_answered_from_its_results(kyara: Kyara, episode: Path, job: dict) -> None:
    with seeder(episode) as magnet:
        again = kyara.ended(
            kyara.submit("video", magnet, "--name", "short", *QUICK, "--max-characters", "1", "--publish", str(job["folder"]))
        )
    assert again["state"] == "JOB_STATE_SUCCEEDED", again.get("error")
    fresh = {stage["stage"] for stage in again["stages"] if not stage.get("cached")}
    assert not fresh & {
        "keyframer",
        "detector",
        "curator.clean",
        "embedder",
        "clusterer",
        "curator.package",
        "trainer",
        "evaluator",
    }
    assert outputs_of(again) == outputs_of(job)


def test_a_folder_of_pictures_becomes_a_lora(kyara: Kyara, tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 5, count=16)
    (tmp_path / "pictures" / "page.jpg").write_text("<html>not a picture</html>")
    job = kyara.ended(
        kyara.submit("character", str(tmp_path / "pictures"), "--name", "hana", *QUICK, "--publish", str(tmp_path / "out"))
    )
    assert job["state"] == "JOB_STATE_SUCCEEDED", job.get("error")
    collected = next(stage for stage in job["stages"] if stage["stage"] == "crawler.collect")
    assert collected["rejected"] == "1"
    assert list((tmp_path / "out").rglob("*.safetensors"))


def test_a_job_that_waits_is_told_who_is_who(kyara: Kyara, episode: Path, tmp_path: Path) -> None:
    job_id = kyara.submit(
        "video", str(episode), "--name", "named", *QUICK, "--wait-for-names", "--publish", str(tmp_path / "out")
    )
    wait_for(lambda: kyara.job(job_id)["state"] == "JOB_STATE_WAITING")
    sheet = tmp_path / "sheet.png"
    shown = kyara.cli("clusters", job_id, "--sheet", str(sheet), "--json")
    assert shown.returncode == 0, shown.stderr
    assert sheet.read_bytes().startswith(b"\x89PNG")
    found = json.loads(shown.stdout)["characters"]
    assert [each["index"] for each in found] == list(range(len(found)))
    assert len(found) >= 2
    assert all(0 <= each["confidence"] <= 1 and each["nearest"] != each["index"] for each in found)
    assert kyara.cli("name", job_id, "99=nobody").returncode == 2
    others = [f"{each['index']}=drop" for each in found[2:]]
    assert kyara.cli("name", job_id, "0=Akane Mori", "1=Akane Mori", *others).returncode == 0
    job = kyara.ended(job_id)
    assert job["state"] == "JOB_STATE_SUCCEEDED", job.get("error")
    (trained,) = [each for each in job["characters"] if each.get("best_step")]
    assert (trained.get("index", 0), trained["name"], trained["merged"]) == (0, "Akane Mori", [1])
    raw = zipfile.ZipFile(tmp_path / "out" / "akane_mori_named-dataset" / "dataset-raw.zip")
    assert len([name for name in raw.namelist() if name.endswith(".png")]) > max(each["images"] for each in found)


def test_a_known_character_is_recognised(kyara: Kyara, episode: Path, tmp_path: Path) -> None:
    truth = EpisodeTruth.load(episode.with_suffix(".truth.json"))
    known = make_character(int(truth.main[0].removeprefix("c")))
    draw_pictures(tmp_path / "akane", known, 1, count=8)
    arguments = ("--name", "named", *QUICK, "--wait-for-names", "--reference", f"Akane Mori={tmp_path / 'akane'}")
    job_id = kyara.submit("video", str(episode), *arguments, "--publish", str(tmp_path / "out"))
    wait_for(lambda: kyara.job(job_id)["state"] == "JOB_STATE_WAITING")
    job = kyara.job(job_id)
    kyara.cli("cancel", job_id)
    outputs = {
        stage["stage"]: stage["outputs"] for stage in job["stages"] if not stage.get("subject", "").startswith("reference")
    }
    figures = ImageSet.load(kyara.store, _ref(outputs["detector"]["images"]))
    clusters = ImageSet.load(kyara.store, _ref(outputs["clusterer"]["clusters"]))
    identities = identities_of(clusters, figures, truth)
    (named,) = [each for each in job["characters"] if each["name"] == "Akane Mori"]
    shown = Counter(identities.get(crop.name) for crop in clusters if crop.index == named.get("index", 0))
    assert shown.most_common(1)[0][0] == known.identity
    assert named["likeness"]["certain"]
    assert not any(each["likeness"].get("certain") for each in job["characters"] if each is not named)


def test_a_cancelled_job_ends_and_can_be_tried_again(kyara: Kyara, episode: Path, tmp_path: Path) -> None:
    arguments = ("--name", "stopped", *QUICK, "--seed", "3", "--max-characters", "1", "--publish", str(tmp_path / "out"))
    job_id = kyara.submit("video", str(episode), *arguments)
    wait_for(lambda: _runs(kyara.job(job_id), "trainer"))
    assert kyara.cli("cancel", job_id).returncode == 0
    assert kyara.ended(job_id)["state"] == "JOB_STATE_CANCELLED"
    assert kyara.cli("watch", job_id).returncode == 10
    assert kyara.cli("retry", job_id).returncode == 0
    assert kyara.ended(job_id)["state"] == "JOB_STATE_SUCCEEDED"


def test_a_triton_gets_what_a_recipe_needs(kyara: Kyara, tmp_path: Path) -> None:
    repository = ("models", "repository", "--to", str(tmp_path / "repository"))
    filled = kyara.cli(*repository, "--recipe", "miniature-quick")
    assert filled.returncode == 0, filled.stderr
    names = {"miniature-ccip-feat", "miniature-ccip-metrics", "miniature-detector", "miniature-tagger"}
    names |= {"miniature-clip-image", "miniature-clip-text"}
    assert names == {path.name for path in (tmp_path / "repository").iterdir()}
    lacking = kyara.cli(*repository, "--recipe", "v1.4", "--models", str(tmp_path))
    assert lacking.returncode == 8
    assert "kyara models pull" in lacking.stderr
    unknown = kyara.cli(*repository, "--recipe", "v9")
    assert unknown.returncode == 2
    assert "miniature-quick" in unknown.stderr


def test_people_get_tables_and_programs_get_json(kyara: Kyara, job: dict) -> None:
    assert job["id"] in kyara.cli("jobs").stdout
    assert job["id"] in [each["id"] for each in json.loads(kyara.cli("jobs", "--json").stdout)["jobs"]]
    assert "RecScore" in kyara.cli("show", job["id"]).stdout
    assert "miniature" in kyara.cli("recipes").stdout
    assert kyara.cli("status", "--state", str(kyara.state)).returncode == 0
    assert kyara.cli("version").stdout.startswith("kyara ")
    assert "miniature-ccip" in kyara.cli("models", "list").stdout


def test_a_second_kyara_on_the_same_ports_or_folder_is_refused(kyara: Kyara, tmp_path: Path) -> None:
    same_ports = kyara.cli("up", "--state", str(tmp_path / "other"), "--base-port", str(kyara.base_port))
    assert same_ports.returncode == 3
    assert str(kyara.base_port) in same_ports.stderr
    same_folder = kyara.cli("up", "--state", str(kyara.state), "--base-port", "29000")
    assert same_folder.returncode == 5


def _ref(output: dict) -> ArtifactRef:
    digest = Digest(sha256=output["digest"]["sha256"], size_bytes=int(output["digest"]["size_bytes"]))
    return ArtifactRef(kind=output["kind"], digest=digest)


def _runs(job: dict, stage: str) -> bool:
    return any(each["stage"] == stage and each["state"] == "JOB_STATE_RUNNING" for each in job["stages"])
