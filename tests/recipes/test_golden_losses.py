"""Each recipe's first twenty losses on one small dataset are those of `golden_losses.json`.

A recipe is trained as its YAML says but for what the miniature world has no room for: its base model, its resolution, half
precision, and an optimiser that needs a graphics card. `python -m tests.recipes.test_golden_losses` writes the file anew, after a
change of a method that is meant to change trainings.
"""

import json
import sys
import tempfile
from pathlib import Path

import pytest

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import Image, ImageSet, Store, get_json, open_store, put_picture, read_picture
from kyara_inference import local_path
from kyara_jobs import params
from kyara_jobs.recipe import known_recipes, recipe_named
from kyara_miniature.pictures import make_pictures
from kyara_rayjobs import RunReport, refs_of
from kyara_trainer.run import train_dataset
from kyara_trainer.task import Task

FILE = Path(__file__).with_name("golden_losses.json")
STEPS, PICTURES, BASE = 20, 12, "miniature-base"
NEAR = 0.01
"""Share by which another processor's sums may differ after twenty steps."""


@pytest.mark.parametrize("name", known_recipes())
def test_a_recipe_trains_as_it_did(name: str, tmp_path: Path) -> None:
    assert losses_of(name, tmp_path) == pytest.approx(json.loads(FILE.read_text())[name], rel=NEAR)


def losses_of(name: str, folder: Path) -> list[float]:
    """The losses of the recipe's first steps."""
    store = open_store(f"file://{folder}/store")
    task = Task(f"file://{folder}/store", str(local_path(BASE)), wanted_by(name), dataset_in(store, folder), threads=1)
    result = train_dataset(task, RunReport(store, f"trainer/{name}", "one"))
    return get_json(store, refs_of(result["outputs"])["log"])["loss"]


def wanted_by(name: str) -> TrainParams:
    """The recipe's params, made to fit the miniature world."""
    wanted = params.train(recipe_named(name), 7, "hana", PICTURES)
    wanted.base_model, wanted.precision, wanted.optimizer = BASE, "fp32", ""
    wanted.resolution, wanted.batch_size = min(wanted.resolution, 64), min(wanted.batch_size, 4)
    wanted.steps, wanted.saves, wanted.checkpoint_every = STEPS, 1, STEPS
    return wanted


def dataset_in(store: Store, folder: Path) -> ArtifactRef:
    """A few pictures with the captions of what was drawn."""
    make_pictures(folder / "hana", 5, count=PICTURES)
    truth = json.loads((folder / "hana.truth.json").read_text())
    images: list[Image] = []
    for path in sorted((folder / "hana").glob("*.png")):
        digest, width, height = put_picture(store, read_picture(path.read_bytes()))
        caption = ", ".join(["hana", *(tag.replace("_", " ") for tag in truth[path.name]["tags"])])
        size = {"sha256": digest.sha256, "size": digest.size_bytes, "width": width, "height": height}
        images.append(Image(name=path.name, caption=caption, **size))
    return ImageSet(images=tuple(images)).save(store)


def main() -> None:
    """Write the file anew."""
    found: dict[str, list[float]] = {}
    for name in known_recipes():
        with tempfile.TemporaryDirectory() as folder:
            found[name] = [round(loss, 6) for loss in losses_of(name, Path(folder))]
    FILE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
