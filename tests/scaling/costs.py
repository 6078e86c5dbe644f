"""`make scaling-costs`: from what a small job costs here to a thousand graphics cards: the table that docs/scaling.md holds.

Measured numbers come from result files: out/scaling/job.json (counted by this program when it is not there, or with --measure),
out/scaling/results.json (`make test-scaling`), and out/load/results.json (`make load`) where there is one. The rest is `Assumed`.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from kyara_jobs.recipe import recipe_named
from kyara_jobs.worker import STAGES_AT_ONCE
from tests.scaling.small_job import Meter, measured

JOB, RAY, LOAD = Path("out/scaling/job.json"), Path("out/scaling/results.json"), Path("out/load/results.json")
RECIPE = "v1.4"
OF_A_CHARACTER = ("curator.package", "trainer", "evaluator", "publisher.lora")
GROWN = "counted by stage, times what grows"


@dataclass(frozen=True)
class Assumed:
    """What is not measured here."""

    cards: int = 1000
    """That train."""
    ahead: float = 0.1
    """Runs that wait, for each that is at work: a worker has its next one at once."""
    head_gib: int = 64
    """Memory of a large head."""
    training_min: float = 20.0
    """A LoRA of the recipe on an A100."""
    preview_s: float = 3.0
    """One preview of the recipe on the same."""
    episode_min: float = 24.0
    episode_mb: float = 1000.0
    characters: int = 6
    """LoRAs from an episode."""
    pictures: int = 200
    """In a dataset: the recipe's `max_images`."""
    picture_mb: float = 0.4
    frame_mb: float = 1.5
    """A key frame of 1080p."""
    save_mb: float = 10.0
    """A LoRA of rank 8 in half precision; a checkpoint has it in 32 bits and both moments of it: six times as much."""
    preview_mb: float = 0.6


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    number: str
    comes_from: str


class Arithmetic:
    """The numbers at so many cards."""

    def __init__(self, job: dict[str, Any], ray: dict[str, Any], load: dict[str, Any], assumed: Assumed) -> None:
        recipe = recipe_named(RECIPE)
        self._job, self._ray, self._load, self._assumed = job, ray, load, assumed
        self._saves = recipe.training.saves
        self._steps = recipe.training.steps.count(assumed.pictures, recipe.training.batch_size)
        self._checkpoints = (self._steps - 1) // recipe.training.checkpoint_every
        prompts = len(recipe.evaluation.prompts) + recipe.evaluation.max_pattern_prompts
        self._previews = (self._saves + 1) * prompts
        self._video = assumed.episode_min * 60 / job["episode_s"]
        self.loras_per_s = assumed.cards / (assumed.training_min * 60)

    def rows(self) -> Iterator[Row]:
        """The table."""
        yield from self._work()
        yield from self._store()
        yield from self._engine()
        yield from self._head()
        yield from self._models()

    def _work(self) -> Iterator[Row]:
        given, rate = self._assumed, self.loras_per_s
        yield Row("LoRAs", f"{rate:.2f}/s, {rate * 3600:.0f} an hour", f"assumed: {given.training_min:.0f} min each on an A100")
        yield Row("episodes", f"{rate / given.characters * 3600:.0f} an hour", f"assumed: {given.characters} characters in each")
        cards = rate * self._previews * given.preview_s
        why = f"{RECIPE}: {self._previews} previews a LoRA; assumed: {given.preview_s:.0f} s each"
        yield Row("cards for previews, beside those that train", f"{cards:.0f}", why)
        bandwidth = rate / given.characters * given.episode_mb
        yield Row("fetching", f"{bandwidth:.0f} MB/s", f"assumed: {given.episode_mb:.0f} MB an episode")

    def _store(self) -> Iterator[Row]:
        given = self._assumed
        megabytes = (
            given.pictures * given.picture_mb * len(recipe_named(RECIPE).packaging.packages)
            + (self._saves + 6 * self._checkpoints) * given.save_mb
            + self._previews * given.preview_mb
            + (given.episode_mb + self._frames() * given.frame_mb) / given.characters
        )
        for what in ("puts", "gets"):
            number = self._per_lora(what)
            yield Row(f"{what} of the store", f"{number:.0f} a LoRA, {number * self.loras_per_s:.0f}/s", GROWN)
        why = f"assumed sizes; {self._checkpoints} checkpoints are {6 * self._checkpoints * given.save_mb / megabytes:.0%} of it"
        yield Row("bytes put", f"{megabytes:.0f} MB a LoRA, {megabytes * self.loras_per_s:.0f} MB/s", why)

    def _engine(self) -> Iterator[Row]:
        given, (*above, character) = self._assumed, self._by_workflow()
        events = character + sum(above) / given.characters
        yield Row("Temporal's events", f"{events:.0f} a LoRA, {events * self.loras_per_s:.0f}/s", "counted in the histories")
        calls = self._calls()
        yield Row("stage calls open at once", f"{calls}", "trainings, those that wait, and previews")
        yield Row(
            "their heartbeats, each a write of Temporal's database",
            f"up to {calls}/s",
            "one a second each, by the worker's setting",
        )
        yield Row("replicas of jobs", f"{ceil(calls / STAGES_AT_ONCE)}", f"{STAGES_AT_ONCE} calls each")
        if self._load:
            why = f"`make load`: {self._load['stages_per_s']} stages/s on two cores"
            yield Row("stages ended", f"{self._stages() * self.loras_per_s:.1f}/s", why)

    def _head(self) -> Iterator[Row]:
        ray, runs = self._ray, self._runs()
        yield Row("submissions to Ray", f"{self.loras_per_s:.2f}/s on each of two heads", f"one answers in {ray['submit_ms']} ms")
        yield Row("runs that one head has", f"{runs}", f"those at work, and {self._assumed.ahead:.0%} that wait")
        gib = (ray["head_mib"] + runs * ray["head_mib_per_run"]) / 1024
        yield Row("memory of it", f"{gib:.0f} GiB", f"{ray['head_mib']:.0f} MiB, and {ray['head_mib_per_run']:.0f} MiB a run")
        cards = (self._assumed.head_gib * 1024 - ray["head_mib"]) / ray["head_mib_per_run"] / (1 + self._assumed.ahead)
        yield Row(f"cards that a head of {self._assumed.head_gib} GiB carries", f"{cards:.0f}", "the same")
        follower = self._job["trainer_follower_mib"]
        yield Row("memory of all replicas of trainer", f"{runs * follower / 1024:.0f} GiB", f"{follower:.0f} MiB for each run")

    def _models(self) -> Iterator[Row]:
        requests = self._per_lora("models")
        yield Row("requests to Triton", f"{requests:.0f} a LoRA, {requests * self.loras_per_s:.0f}/s", GROWN)

    def _per_lora(self, what: str) -> float:
        """One of the meter's counts, for a LoRA and its part of an episode."""
        units = self._job["units"]
        grows = {
            "curator.package": self._assumed.pictures / units["pictures"],
            "trainer": (self._saves + self._checkpoints) / (units["saves"] + units["checkpoints"]),
            "evaluator": (self._previews + self._assumed.pictures) / (units["previews"] + units["pictures"]),
            "publisher.lora": self._saves / units["saves"],
        }
        total = 0.0
        for stages, meter in self._job["by_stage"].items():
            own = [stage for stage in stages.split("+") if stage in OF_A_CHARACTER]
            factor = max(grows[stage] for stage in own) if own else self._video / self._assumed.characters
            total += factor * getattr(Meter(**meter), what)
        return total

    def _frames(self) -> float:
        return self._job["units"]["frames"] * self._video

    def _by_workflow(self) -> list[int]:
        """Events of the job's, its episode's and its character's workflow."""
        events = self._job["workflow_events"]
        return [events["VideoToLoras"], events["FiguresOfEpisode"], events["CharacterToLora"]]

    def _stages(self) -> float:
        return len(OF_A_CHARACTER) + (self._job["stages"] - len(OF_A_CHARACTER)) / self._assumed.characters

    def _runs(self) -> int:
        return round(self._assumed.cards * (1 + self._assumed.ahead))

    def _calls(self) -> int:
        """Stage calls that jobs holds open: trainings, those that wait, and previews."""
        return round(self._runs() + self.loras_per_s * self._previews * self._assumed.preview_s)


def main() -> None:
    """Count where that was not done yet, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.scaling.costs", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="count a small job anew")
    if parser.parse_args().measure or not JOB.exists():
        JOB.parent.mkdir(parents=True, exist_ok=True)
        JOB.write_text(json.dumps(measured(), indent=2) + "\n")
    if not RAY.exists():
        parser.exit(1, f"{RAY} is not there: `make test-scaling` writes it\n")
    load = json.loads(LOAD.read_text()) if LOAD.exists() else {}
    arithmetic = Arithmetic(json.loads(JOB.read_text()), json.loads(RAY.read_text()), load, Assumed())
    print(f"| at {Assumed().cards} cards that train | | comes from |\n|---|---|---|")
    for row in arithmetic.rows():
        print(f"| {row.what} | {row.number} | {row.comes_from} |")


if __name__ == "__main__":
    main()
