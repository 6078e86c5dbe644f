"""`make accuracy-evaluate`: saves that are underfit, good, overfit and deaf to prompts by construction, and which is chosen.

For each of ten characters that no model has seen: one honest training, whose saves are good; one that ends before it has begun,
whose saves are underfit; one of many epochs on five of the pictures (overfit); one whose captions are the trigger alone (deaf).
RecScore alone chooses, and the balanced rule; and how like the character each save draws is read back from the previews
(reading.py), beside both scores.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams
from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import File, FileSet, ImageSet, Store, get_json, open_store, read_picture
from kyara_evaluator import stage as evaluator
from kyara_evaluator.settings import EvaluatorSettings
from kyara_jobs import params
from kyara_jobs.recipe import recipe_named
from kyara_miniature.cast import Character, make_character
from kyara_miniature.pictures import draw_pictures
from kyara_miniature.script import FIRST_SEED
from kyara_stage.testing import run_operation
from kyara_trainer import stage as trainer
from kyara_trainer.settings import TrainerSettings
from tests.accuracy.packed import packed
from tests.accuracy.reading import Reader
from tests.servers.inference import inference_server
from tests.servers.ray import ray_head

SEEDS = tuple(range(400, 410))
PICTURES, FEW = 24, 5
AT_ONCE = 2
"""Characters, each on a core: two that share two cores take longer."""
DRAWINGS = 2
"""Pictures of each prompt and save, each from a seed of its own: what one shows by chance weighs less."""


@dataclass(frozen=True)
class Kind:
    """How saves of a kind are trained, where not by the recipe, whose 240 steps the first good save has half as much again of."""

    steps: int
    saves: int
    faster: float = 1.0
    """By the recipe's learning rate."""
    few: bool = False
    schedule: str = ""
    tag_dropout: float | None = None


KINDS = {
    "underfit": Kind(40, 4),
    # With falling rates the later of its saves are the better ones, and not by chance.
    "good": Kind(360, 3, faster=3, schedule="cosine"),
    "overfit": Kind(360, 1, faster=3, few=True, tag_dropout=0),
    "deaf": Kind(90, 1, tag_dropout=0.999),
}


@dataclass(frozen=True)
class World:
    """The servers, and one character in them."""

    store: Store
    given: dict[str, str]
    character: Character
    dataset: ImageSet
    few: ImageSet


def main() -> None:
    """Measure every run and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.evaluate", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/accuracy-evaluate"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    asked = parser.parse_args()
    shutil.rmtree(asked.out, ignore_errors=True)
    asked.out.mkdir(parents=True)
    rows = []
    with inference_server(asked.out) as server, ray_head(num_cpus=2 * AT_ONCE) as head, ThreadPoolExecutor(AT_ONCE) as pool:
        url = f"file://{(asked.out / 'store').resolve()}"
        given = {"store": url, "listen": "127.0.0.1:0", "inference": server.address, "ray": head.address}
        reader = Reader.fitted()
        print(json.dumps({"reader": {name: round(skill, 2) for name, skill in reader.skills.items()}}), flush=True)
        for row in pool.map(lambda seed: _run(asked.out, seed, reader, given), asked.seeds):
            rows.append(row)
            print(json.dumps(row), flush=True)
    results = {"runs": rows, "summary": _summary(rows)}
    (asked.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    Console(width=140).print(_table(rows), results["summary"])


def _run(out: Path, seed: int, reader: Reader, given: dict[str, str]) -> dict[str, Any]:
    world = _world(out / f"run-{seed}", seed, given)
    kinds, saves = _saves(world, seed)
    wanted = params.evaluate(recipe_named("miniature"), seed, "hana", world.dataset.meta["core_tags"])
    wanted.seeds = DRAWINGS
    record, previews = _evaluated(world, wanted, saves, out / f"run-{seed}.png")
    # The published rule on the same previews: the highest RecScore, the earliest of equals.
    by_recscore = min(record["steps"], key=lambda row: (-row["recscore"], row["step"]))
    chosen = {"balanced": record["best_step"], "recscore": by_recscore["step"]}
    like = _likeness(world, reader, previews)
    marks = {row["step"]: row for row in record["steps"]}
    steps = sorted(marks)
    return {
        "seed": seed,
        "chosen": {rule: kinds[step] for rule, step in chosen.items()},
        "recscore_of_the_base_model": round(record["base"]["recscore"], 3),
        "fidelity_of_the_base_model": round(record["base"]["fidelity"], 3),
        "rank_correlation_fidelity": _ranked([marks[step]["fidelity"] for step in steps], [like[step] for step in steps]),
        "rank_correlation_recscore": _ranked([marks[step]["recscore"] for step in steps], [like[step] for step in steps]),
        "saves": [
            {"step": step, "kind": kinds[step], "like": round(like[step], 3)}
            | {
                key: _rounded(marks[step][key])
                for key in ("recscore", "fidelity", "control", "memorised", "diversity", "balance")
            }
            for step in steps
        ],
    }


def _world(folder: Path, seed: int, given: dict[str, str]) -> World:
    """A character's pictures, cleaned, cut and captioned as a job does it, and the first few of them."""
    character = make_character(FIRST_SEED + seed)
    draw_pictures(folder, character, seed, count=PICTURES)
    dataset = packed(folder, recipe_named("miniature"), "hana", seed, given)
    return World(
        open_store(given["store"]), given, character, dataset, dataset.model_copy(update={"images": dataset.images[:FEW]})
    )


def _saves(world: World, seed: int) -> tuple[dict[int, str], FileSet]:
    """Every save under a step of its own, and what kind each is."""
    kinds: dict[int, str] = {}
    files: list[File] = []
    for name, kind in KINDS.items():
        wanted = params.train(recipe_named("miniature"), seed, "hana", len(world.dataset))
        wanted.steps, wanted.saves = kind.steps, kind.saves
        wanted.schedule = kind.schedule
        if kind.tag_dropout is not None:
            wanted.tag_dropout = kind.tag_dropout
        wanted.unet.learning_rate *= kind.faster
        dataset = world.few if kind.few else world.dataset
        for file in _trained(world, wanted, dataset).files:
            kinds[len(kinds) + 1] = name
            files.append(_placed(file, len(kinds), world, dataset))
    return kinds, FileSet(files=tuple(files))


def _placed(file: File, step: int, world: World, dataset: ImageSet) -> File:
    """A save under another step; what its training was not given it held back too."""
    given = {image.sha256 for image in dataset}
    never_given = [image.sha256 for image in world.dataset if image.sha256 not in given]
    return file.model_copy(update={"meta": {"step": step, "held_back": [*file.meta["held_back"], *never_given]}})


def _trained(world: World, wanted: TrainParams, dataset: ImageSet) -> FileSet:
    settings = TrainerSettings.model_validate({key: world.given[key] for key in ("store", "listen", "ray")} | {"threads": 1})
    outputs, _ = run_operation(trainer.OPERATIONS[0], wanted, {"dataset": dataset.save(world.store)}, world.store, settings)
    return FileSet.load(world.store, outputs["saves"])


def _evaluated(world: World, wanted: EvaluateParams, saves: FileSet, sheet: Path) -> tuple[dict[str, Any], ImageSet]:
    settings = EvaluatorSettings.model_validate({**world.given, "threads": 1, "max_replicas": AT_ONCE})
    inputs = {"dataset": world.dataset.save(world.store), "saves": saves.save(world.store)}
    outputs, _ = run_operation(evaluator.OPERATIONS[0], wanted, inputs, world.store, settings)
    sheet.write_bytes(world.store.get(outputs["sheet"].digest))
    return get_json(world.store, outputs["scores"]), ImageSet.load(world.store, outputs["previews"])


def _likeness(world: World, reader: Reader, previews: ImageSet) -> dict[int, float]:
    """How like the character each save draws: what is read back, from its previews, of what the character was drawn from."""
    named = [image for image in previews if image.step and not (image.prompt or "").startswith("stranger")]
    pictures = [read_picture(data) for data in world.store.get_all([image.digest for image in named])]
    found: dict[int, list[float]] = {}
    for image, like in zip(named, reader.likeness(pictures, world.character), strict=True):
        found.setdefault(image.step or 0, []).append(float(like))
    return {step: float(np.mean(values)) for step, values in found.items()}


def _rounded(mark: float | None) -> float | None:
    return None if mark is None else round(mark, 3)


def _ranked(one: Sequence[float], other: Sequence[float]) -> float:
    found: Any = spearmanr(one, other)
    return round(float(found.statistic), 3)


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def right(rule: str) -> int:
        return sum(row["chosen"][rule] == "good" for row in rows)

    def mean(key: str) -> float:
        return round(float(np.nanmean([row[key] for row in rows])), 3)

    fooled = max(rows, key=lambda row: row["recscore_of_the_base_model"])
    saves = {save["kind"]: save for save in fooled["saves"]}
    return {
        "runs": len(rows),
        # The character whom RecScore takes the base model for already: its scores without a LoRA, underfit, and good.
        "most_fooled": {
            "seed": fooled["seed"],
            "recscore": [fooled["recscore_of_the_base_model"], *(saves[kind]["recscore"] for kind in ("underfit", "good"))],
            "fidelity": [fooled["fidelity_of_the_base_model"], *(saves[kind]["fidelity"] for kind in ("underfit", "good"))],
        },
        "good_ones_chosen": {rule: right(rule) for rule in ("balanced", "recscore")},
        **{key: mean(key) for key in ("rank_correlation_fidelity", "rank_correlation_recscore")},
    }


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(
        "run", "balanced chose", "RecScore chose", "fidelity to likeness", "RecScore to likeness", "RecScore of the base"
    )
    for row in rows:
        cells = (row["chosen"]["balanced"], row["chosen"]["recscore"], row["rank_correlation_fidelity"])
        cells += (row["rank_correlation_recscore"], row["recscore_of_the_base_model"])
        table.add_row(str(row["seed"]), *map(str, cells))
    return table


if __name__ == "__main__":
    main()
