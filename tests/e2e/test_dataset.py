"""A dataset that was made before in, a LoRA by a recipe of one's own out, and that LoRA in other programs' names."""

import json
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import ImageSet
from kyara_miniature.pictures import make_pictures
from tests.servers.kyara import Kyara, wait_for


def test_a_package_becomes_a_lora_by_a_recipe_of_ones_own(kyara: Kyara, tmp_path: Path) -> None:
    make_pictures(tmp_path / "hana", 5, count=12)
    for number, picture in enumerate(sorted((tmp_path / "hana").glob("*.png"))):
        picture.with_suffix(".txt").write_text(f"hana, long hair, smile {number}")
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("extends: miniature-quick\ntraining: {steps: {rule: fixed, steps: 6}, saves: 2, batch_sise: 4}\n")
    wrong = kyara.cli("submit", "dataset", str(tmp_path / "hana"), "--recipe", str(recipe))
    assert wrong.returncode == 2 and "training.batch_sise" in wrong.stderr
    recipe.write_text(recipe.read_text().replace("batch_sise", "batch_size"))
    plan = json.loads(kyara.cli("recipes", "show", str(recipe), "--images", "12", "--json").stdout)
    assert (plan["plans"][0]["steps"], plan["plans"][0]["epochs"]) == (6, 2)
    out = tmp_path / "out"
    job_id = kyara.submit("dataset", str(tmp_path / "hana"), "--recipe", str(recipe), "--publish", str(out), "--approve")
    wait_for(lambda: kyara.job(job_id)["state"] == "JOB_STATE_WAITING")
    assert not out.exists(), "nobody has looked at it yet"
    shown = json.loads(kyara.cli("report", job_id, "--out", str(tmp_path / "pages"), "--json").stdout)["reports"]
    assert [Path(page).name for page in shown] == ["hana.html"]
    assert "Trigger words" in Path(shown[0]).read_text()
    assert kyara.cli("approve", job_id).returncode == 0
    job = kyara.ended(job_id)
    assert job["state"] == "JOB_STATE_SUCCEEDED", job.get("error")
    assert [stage["stage"] for stage in job["stages"]] == [
        "crawler.resolve", "crawler.collect", "curator.package", "trainer", "evaluator", "publisher.character", "publisher.lora",
    ]  # fmt: skip
    lora = out / "hana" / "6" / "hana.safetensors"
    assert (out / "hana" / "report.html").read_text() == Path(shown[0]).read_text()
    told = json.loads(kyara.cli("lora", "info", str(lora), "--json").stdout)
    assert (told["kind"], told["hash_fits"], told["not_finite"]) == ("LoRA", True, 0)
    assert ["long hair", 12] in told["tags"]
    done = kyara.cli("lora", "convert", str(lora), "--to", "diffusers")
    assert done.returncode == 0, done.stderr
    assert lora.with_name("hana-diffusers.safetensors").is_file()
    assert "is there already" in kyara.cli("lora", "convert", str(lora), "--to", "diffusers").stderr
    scored = kyara.cli(
        "evaluate", str(lora.with_name("hana-diffusers.safetensors")), "--dataset", str(tmp_path / "hana"), "--name", "Her",
        "--trigger", "hana", "--recipe", str(recipe), "--out", str(tmp_path / "pages"), "--json",
    )  # fmt: skip
    assert scored.returncode == 0, scored.stderr
    assert "Trigger words" in (tmp_path / "pages" / "Her.html").read_text()
    ended = [json.loads(line) for line in scored.stdout.splitlines()][-2]
    # The same LoRA, in other names, and the same prompts: the best save's previews are those of the job that trained it.
    assert drawn(kyara, ended, 6) == drawn(kyara, job, 6)
    assert len(drawn(kyara, job, 6)) > 0
    refused = kyara.cli("evaluate", str(recipe), "--dataset", str(tmp_path / "hana"), "--recipe", str(recipe), "--json")
    assert refused.returncode == 2 and "no safetensors file" in refused.stdout


def drawn(kyara: Kyara, job: dict[str, Any], step: int) -> dict[str, str]:
    """Digests of a step's previews by prompt."""
    (stage,) = (stage for stage in job["stages"] if stage["stage"] == "evaluator")
    previews = ImageSet.load(kyara.store, json_format.ParseDict(stage["outputs"]["previews"], ArtifactRef()))
    return {image.prompt or "": image.sha256 for image in previews if image.step == step}
