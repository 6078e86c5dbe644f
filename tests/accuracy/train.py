"""`make accuracy-train`: v1.0, v1.3 and v1.4 on the same three characters, a tiny set, a medium one and a massive one.

Each recipe takes the pictures through its own packages and trains by its own rules; only what the miniature world needs is
otherwise: its models and sizes, fp32, SCALE times fewer steps at SCALE times the rates. Final saves are asked about the same
pictures, which no recipe saw: the validation loss on them, RecScore and fidelity against them.
"""

import argparse
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import File, FileSet, ImageSet, get_json, open_store
from kyara_evaluator import stage as evaluator
from kyara_evaluator.settings import EvaluatorSettings
from kyara_inference.catalogue import local_path
from kyara_jobs import params
from kyara_jobs.recipe import Recipe, merged, recipe_named, shipped, whole
from kyara_miniature.cast import make_character
from kyara_miniature.pictures import draw_pictures
from kyara_miniature.script import FIRST_SEED
from kyara_stage.testing import run_operation
from kyara_trainer import adapter
from kyara_trainer import stage as trainer
from kyara_trainer.examples import prepare
from kyara_trainer.loading import load_base
from kyara_trainer.pivotal import attach_words
from kyara_trainer.settings import TrainerSettings
from kyara_trainer.texts import Texts
from kyara_trainer.validation import Validation
from tests.accuracy.packed import packed
from tests.servers.inference import inference_server
from tests.servers.ray import ray_head

RECIPES = ("v1.0", "v1.3", "v1.4")
SIZES = {"tiny": 16, "medium": 90, "massive": 360}
"""Pictures that there are of each character, before any recipe cleans, cuts and limits them."""
SEEDS = {"tiny": 420, "medium": 421, "massive": 422}
UNSEEN, UNSEEN_SEED = 24, 9_000
SCALE = 10
"""Fewer steps, and higher rates: together they move the weights as far."""
PIXELS = 72 / 512
"""The miniature base draws 72 px where production's draws 512."""
NAME = "hana"


@dataclass(frozen=True)
class Trained:
    """A recipe's final save for one character."""

    recipe: str
    wanted: TrainParams
    pictures: int
    seconds: float
    save: File
    words: File | None


def main() -> None:
    """Measure every character with every recipe and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/accuracy-train"))
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    asked = parser.parse_args()
    shutil.rmtree(asked.out, ignore_errors=True)
    asked.out.mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    with inference_server(asked.out) as server, ray_head() as head:
        url = f"file://{(asked.out / 'store').resolve()}"
        given = {"store": url, "listen": "127.0.0.1:0", "inference": server.address, "ray": head.address}
        for size in asked.sizes:
            rows += _character(asked.out, size, given)
            print(json.dumps(rows[-len(RECIPES) - 1 :]), flush=True)
    (asked.out / "results.json").write_text(json.dumps(rows, indent=2) + "\n")
    Console(width=140).print(_table(rows))


def _character(out: Path, size: str, given: dict[str, str]) -> list[dict[str, Any]]:
    """The base model's row and each recipe's, for one character."""
    seed = SEEDS[size]
    character = make_character(FIRST_SEED + seed)
    seen, unseen = out / size / "seen", out / size / "unseen"
    draw_pictures(seen, character, seed, count=SIZES[size])
    draw_pictures(unseen, character, UNSEEN_SEED + seed, count=UNSEEN)
    asked_about = packed(unseen, _transferred("v1.4"), NAME, seed, given)
    trained = [_trained(packed(seen, _transferred(name), NAME, seed, given), name, seed, given) for name in RECIPES]
    whole, crops = _apart(asked_about)
    losses = [(_loss(whole, each, given), _loss(crops, each, given)) for each in (None, *trained)]
    scores = _scores(asked_about, trained, seed, given, out / f"{size}.html")
    facts: list[dict[str, Any]] = [{"recipe": "none"}]
    facts += [{"recipe": each.recipe, "pictures": each.pictures, "steps": each.wanted.steps} for each in trained]
    times = [0.0, *(each.seconds for each in trained)]
    return [
        {"set": size, **fact, "seconds": round(seconds, 1), "whole_loss": round(loss[0], 4), "crops_loss": round(loss[1], 4)}
        | {key: round(score[key], 3) for key in ("recscore", "fidelity", "control", "copies")}
        for fact, seconds, loss, score in zip(facts, times, losses, scores, strict=True)
    ]


def _apart(asked_about: ImageSet) -> tuple[ImageSet, ImageSet]:
    """The pictures that are whole, as v1.0 and v1.3 train on, and those cut from them, as only v1.4 does."""
    whole = tuple(image for image in asked_about if image.crop == "person")
    crops = tuple(image for image in asked_about if image.crop != "person")
    return asked_about.model_copy(update={"images": whole}), asked_about.model_copy(update={"images": crops})


def _transferred(name: str) -> Recipe:
    """The recipe, with the miniature world's models and sizes."""
    written = whole(name, shipped())
    miniature = whole("miniature", shipped())
    packaging = {key: miniature["packaging"][key] for key in ("min_crop_side", "tagger_model", "detector_model")}
    stages = {key: miniature[key] for key in ("detection", "cleaning", "web", "embedding", "clustering", "evaluation")}
    sizes = {"resolution": 8 * round(PIXELS * written["training"]["resolution"] / 8), "bucket_step": 8}
    here = {"base_model": "miniature-base", "precision": "fp32", "gradient_checkpointing": False, "clip_skip": 1, "saves": 1}
    changes = {**stages, "packaging": {**packaging, "min_images": 5}, "training": {**sizes, **here}}
    return Recipe.model_validate({"name": name, **merged(written, changes)})


def _trained(dataset: ImageSet, name: str, seed: int, given: dict[str, str]) -> Trained:
    store = open_store(given["store"])
    settings = TrainerSettings.model_validate({key: given[key] for key in ("store", "listen", "ray")} | {"threads": 2})
    wanted = params.train(_transferred(name), seed, NAME, len(dataset))
    wanted.steps, wanted.warmup_steps = max(1, wanted.steps // SCALE), wanted.warmup_steps // SCALE
    for part in (wanted.unet, wanted.text_encoder, *([wanted.pivotal] if wanted.pivotal.words else [])):
        part.learning_rate *= SCALE
    began = time.perf_counter()
    outputs, _ = run_operation(trainer.OPERATIONS[0], wanted, {"dataset": dataset.save(store)}, store, settings)
    seconds = time.perf_counter() - began
    words = FileSet.load(store, outputs["embeddings"]).files[-1] if "embeddings" in outputs else None
    return Trained(name, wanted, len(dataset), seconds, FileSet.load(store, outputs["saves"]).files[-1], words)


@torch.no_grad()
def _loss(asked_about: ImageSet, trained: Trained | None, given: dict[str, str]) -> float:
    """Mean squared error on the unseen pictures, in the same sizes for all, of a save or of the base model alone."""
    store = open_store(given["store"])
    wanted = trained.wanted if trained else TrainParams(trigger=NAME, clip_skip=1)
    base = load_base(local_path("miniature-base"), torch.device("cpu"))
    stand_in, words = attach_words(base, wanted.pivotal, 0) if wanted.pivotal.words else ("", {})
    if trained:
        adapter.attach(base, wanted, 0)
        _fill(adapter.weights(base), load(store.get(trained.save.digest)))
        _fill(words, load(store.get(trained.words.digest)) if trained.words else {})
    sizes = TrainParams(trigger=NAME, resolution=72, buckets=5, bucket_step=8)
    data = prepare(base, sizes, store, asked_about.images, stand_in, lambda _: None)
    return Validation(base, data.examples, asked_about.images).loss(Texts(base, wanted))


def _fill(weights: Mapping[str, torch.nn.Parameter], file: Mapping[str, torch.Tensor]) -> None:
    for name, weight in weights.items():
        weight.data = file[name].float()


def _scores(
    asked_about: ImageSet, trained: Sequence[Trained], seed: int, given: dict[str, str], page: Path
) -> list[dict[str, Any]]:
    """The evaluator's marks for the base model and for each save, all on the same prompts."""
    store = open_store(given["store"])
    settings = EvaluatorSettings.model_validate({**given, "threads": 2})
    wanted = params.evaluate(recipe_named("miniature"), seed, NAME, asked_about.meta["core_tags"])
    # Each recipe's save stands in a place of its own, which the evaluator takes for its step.
    inputs = {"dataset": asked_about.save(store), "saves": _placed([each.save for each in trained]).save(store)}
    inputs["embeddings"] = _placed([each.words for each in trained]).save(store)
    outputs, _ = run_operation(evaluator.OPERATIONS[0], wanted, inputs, store, settings)
    page.write_bytes(store.get(outputs["report"].digest))
    record = get_json(store, outputs["scores"])
    return [record["base"], *sorted(record["steps"], key=lambda row: row["step"])]


def _placed(files: Sequence[File | None]) -> FileSet:
    placed = [each.model_copy(update={"meta": {"step": place}}) for place, each in enumerate(files, 1) if each]
    return FileSet(files=tuple(placed))


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(*columns, title=f"asked about {UNSEEN} pictures that no recipe saw, and their crops")
    for row in rows:
        table.add_row(*(str(row.get(column, "")) for column in columns))
    return table


if __name__ == "__main__":
    main()
