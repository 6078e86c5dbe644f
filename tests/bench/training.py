"""`make bench-train`: seconds a step and memory beside diffusers' own LoRA script and a plain peft loop, in one run.

Every run is a process of its own. A step lasts from the end of the optimiser's last one to that of its own, so that what it takes
to start counts for nobody; memory is the most that a process held. Runs are taken in turn, and the lower quartile of a side's
steps counts: what else a machine does only ever slows one.
The same base, pictures, captions, batch, rank and precision for all. Each peer is compared with a side of ours whose LoRA is on
the same modules: diffusers' script trains the projections of attention alone, a plain loop the feed-forward layers and what leads
in and out too.
The script is fetched at the commit and digest below into out/bench-train/peer, with torchvision, which it needs.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
import PIL.ImageOps
from google.protobuf import json_format
from rich.console import Console
from rich.table import Table

from kyara_artifacts import Image, ImageSet, open_store
from kyara_inference.catalogue import local_path
from kyara_miniature.pictures import make_pictures
from tests.bench.trained import BASE

OUT = Path("out/bench-train")
COMMIT = "58eb52c0803ea9af3abec60841c2a093bdf1f951"
SCRIPT = "train_text_to_image_lora.py"
SCRIPT_SHA256 = "6634df6b80bc428a4ed8229a3a7023dc8c7439dc2ed8e633dae2b12560a3958d"
SCRIPT_URL = f"https://raw.githubusercontent.com/huggingface/diffusers/{COMMIT}/examples/text_to_image/{SCRIPT}"
TORCHVISION = "torchvision==0.28.0"
RUNS = 3
STEPS, FIRST_STEPS = 110, 10
"""Steps of a run, and of one that fills the caches."""
BATCH, RANK, PICTURES = 8, 8, 48
RESOLUTION, LARGER = 80, 1.5
"""Pictures are so many times as large as they are trained: 768 px at a production model's 512."""
GROWTH_PICTURES, GROWTH_RESOLUTIONS = (24, 96, 384), (64, 96, 128)

TIMED = (sys.executable, "-m", "tests.bench.step_times")
ATTENTION = ("to_k", "to_q", "to_v", "to_out.0")
"""What diffusers' script gives a LoRA to."""

Command = Callable[[int], Sequence[str]]


@dataclass(frozen=True)
class Taken:
    """One process: seconds in all and of each step, and MB at most."""

    seconds: float
    megabytes: int
    steps_s: list[float]


@dataclass(frozen=True)
class Side:
    """The runs of one side."""

    name: str
    step_s: float
    whole_s: float
    megabytes: float


def main() -> None:
    """Measure, print, keep in out/bench-train/results.json."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="kyara-bench-") as name:
        folder = Path(name)
        pictures = _pictures(folder, PICTURES, round(LARGER * RESOLUTION))
        store, dataset = _dataset(folder, pictures)
        peers = {"a plain peft loop": _plain(pictures)}
        script = _script()
        if script is None:
            console.print(f"not run: diffusers' {SCRIPT} cannot be fetched from {SCRIPT_URL}")
        else:
            peers = {f"diffusers' {SCRIPT}, attention alone": _diffusers(script, pictures, folder / "lora"), **peers}
        kyara = _kyara(store, dataset, RESOLUTION)
        others = {
            "Kyara, attention alone": _kyara(store, dataset, RESOLUTION, modules=ATTENTION),
            "Kyara, torch_compile": _kyara(store, dataset, RESOLUTION, compiled=True),
        }
        sides = _sides({"Kyara": kyara, **others, **peers})
        growth = [_grown(folder, console, count, RESOLUTION) for count in GROWTH_PICTURES]
        growth += [_grown(folder, console, PICTURES, resolution) for resolution in GROWTH_RESOLUTIONS]
    _print(console, sides, growth)
    OUT.mkdir(parents=True, exist_ok=True)
    results = {"sides": [vars(side) for side in sides], "growth": growth, "diffusers": script is not None}
    (OUT / "results.json").write_text(json.dumps(results, indent=2) + "\n")


def _sides(commands: dict[str, Command]) -> list[Side]:
    """Each side's runs, taken in turn."""
    taken: dict[str, list[Taken]] = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, command in commands.items():
            taken[name].append(_taken(command(STEPS)))
    return [
        Side(
            name,
            step_s=_usual([second for run in runs for second in run.steps_s]),
            whole_s=min(run.seconds for run in runs),
            megabytes=statistics.median(run.megabytes for run in runs),
        )
        for name, runs in taken.items()
    ]


def _usual(steps_s: Sequence[float]) -> float:
    """What a step takes while nothing else is done: the lower quartile."""
    return statistics.quantiles(steps_s, n=4)[0]


def _grown(folder: Path, console: Console, count: int, resolution: int) -> dict[str, float]:
    """How long caching and a step take for so many pictures at such a size, on the first run and on the next."""
    place = folder / f"{count}-{resolution}"
    store, dataset = _dataset(place, _pictures(place, count, round(LARGER * resolution)))
    command = _kyara(store, dataset, resolution)
    first, again, long = _taken(command(FIRST_STEPS)), _taken(command(FIRST_STEPS)), _taken(command(STEPS))
    row = {
        "pictures": count,
        "resolution": resolution,
        "first_s": round(first.seconds, 2),
        "again_s": round(again.seconds, 2),
        "step_s": round(_usual(long.steps_s), 4),
        "mb": long.megabytes,
    }
    console.print(row)
    return row


def _taken(command: Sequence[str]) -> Taken:
    """Run `command` to its end. Raises RuntimeError with the end of what it said when it fails."""
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=_environment())
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        output = said.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} ... ended with {process.returncode}: {output[-3000:]}")
    return Taken(seconds, usage.ru_maxrss // 1024, json.loads(output.splitlines()[-1]))


def _environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TQDM_DISABLE": "1"}


def _kyara(store: str, dataset: str, resolution: int, *, compiled: bool = False, modules: Sequence[str] = ()) -> Command:
    module = [*TIMED, "tests.bench.trained", store, dataset]
    return lambda steps: [*module, *map(str, (resolution, BATCH, steps, RANK, int(compiled))), *modules]


def _plain(pictures: Path) -> Command:
    module = [*TIMED, "tests.bench.plain_lora", str(local_path(BASE)), str(pictures)]
    return lambda steps: [*module, *map(str, (RESOLUTION, BATCH, steps, RANK))]


def _diffusers(script: Path, pictures: Path, out: Path) -> Command:
    options = {
        "pretrained_model_name_or_path": local_path(BASE), "train_data_dir": pictures, "image_column": "image",
        "caption_column": "text", "resolution": RESOLUTION, "train_batch_size": BATCH, "rank": RANK, "seed": 1,
        "mixed_precision": "no", "lr_warmup_steps": 0, "lr_scheduler": "constant", "checkpointing_steps": 10**6,
        "output_dir": out, "cache_dir": out / "cache", "report_to": "all",
    }  # fmt: skip
    module = [*TIMED, "tests.bench.diffusers_lora", str(script)]
    words = [f"--{name}={value}" for name, value in options.items()]
    return lambda steps: [*module, *words, f"--max_train_steps={steps}"]


def _script() -> Path | None:
    """Diffusers' script and the torchvision it needs, fetched once; None where there is no way out."""
    folder = OUT / "peer"
    path = folder / SCRIPT
    if not path.exists():
        try:
            with urllib.request.urlopen(SCRIPT_URL, timeout=60) as answer:
                data = answer.read()
        except OSError:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SCRIPT_SHA256:
        raise RuntimeError(f"{path} is not the script of commit {COMMIT}; remove it")
    if not (folder / "torchvision").exists():
        # Without its dependencies: torch is there, in the version that this one is built for.
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), TORCHVISION]
        subprocess.run(pip, check=True)
    return path


def _pictures(folder: Path, count: int, side: int) -> Path:
    """A folder of pictures of one character, of `side` squared px, with its captions as `datasets` reads them."""
    drawn, pictures = folder / "drawn", folder / "pictures"
    make_pictures(drawn, 21, count=count)
    truth = json.loads(drawn.with_name("drawn.truth.json").read_text())
    pictures.mkdir()
    lines = []
    for name, facts in sorted(truth.items()):
        with PIL.Image.open(drawn / name) as image:
            PIL.ImageOps.fit(image, (side, side)).save(pictures / name)
        lines.append(json.dumps({"file_name": name, "text": ", ".join(["kyara", *facts["tags"]])}))
    (pictures / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return pictures


def _dataset(folder: Path, pictures: Path) -> tuple[str, str]:
    """(the address of a store, the image set in it) of a folder of pictures."""
    url = f"file://{folder}/store"
    store = open_store(url)
    images = []
    for line in (pictures / "metadata.jsonl").read_text().splitlines():
        item = json.loads(line)
        path = pictures / item["file_name"]
        digest = store.put(path)
        with PIL.Image.open(path) as image:
            width, height = image.size
        facts = {"sha256": digest.sha256, "size": digest.size_bytes, "width": width, "height": height}
        images.append(Image(name=path.name, **facts, caption=item["text"]))
    return url, json_format.MessageToJson(ImageSet(images=tuple(images)).save(store), indent=None)


def _print(console: Console, sides: Sequence[Side], growth: Sequence[dict[str, float]]) -> None:
    table = Table("side", "s a step", "times as slow", "MB at most", "s in all", title=f"{STEPS} steps, {PICTURES} pictures")
    for side in sides:
        alike = side.name.endswith("attention alone")
        ours = next(other for other in sides if other.name.endswith("attention alone") is alike)
        ratio = f"{side.step_s / ours.step_s:.2f}"
        table.add_row(side.name, f"{side.step_s:.4f}", ratio, f"{side.megabytes:.0f}", f"{side.whole_s:.1f}")
    console.print(table)
    grown = Table(*growth[0], title="Kyara, as dataset and pictures grow")
    for row in growth:
        grown.add_row(*map(str, row.values()))
    console.print(grown)


if __name__ == "__main__":
    main()
