"""`make accuracy-web`: a site of 400 pictures of one character, 30 % of it dirt, cleaned, cut and tagged, against the truth."""

import argparse
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from kyara.jobs.v1.jobs_pb2 import JobSpec
from kyara_artifacts import Image, ImageSet, get_json
from kyara_crawler import stage as crawler
from kyara_crawler.settings import CrawlerSettings
from kyara_curator import stage as curator
from kyara_curator.settings import CuratorSettings
from kyara_detector import stage as detector
from kyara_detector.settings import DetectorSettings
from kyara_jobs import params
from kyara_jobs.recipe import recipe_named
from kyara_miniature.tags import FRAMING_TAGS, TAGS
from tests.accuracy.season import Rooms
from tests.accuracy.site import Truth, make_site
from tests.servers.inference import inference_server

SEEDS = (201, 202, 203)
COUNT = 400
_ABOUT_THE_FRAME = {*FRAMING_TAGS}


def main() -> None:
    """Measure every site and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.web", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/accuracy-web"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    asked = parser.parse_args()
    shutil.rmtree(asked.out, ignore_errors=True)
    asked.out.mkdir(parents=True)
    with inference_server(asked.out) as server:
        rooms = Rooms(recipe_named("miniature"), asked.out, server.address)
        rows = []
        for seed in asked.seeds:
            rows.append(measured(rooms, seed))
            print(json.dumps(rows[-1]), flush=True)
    mean = {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0] if key != "set_aside"}
    (asked.out / "results.json").write_text(json.dumps({"sites": rows, "mean": mean}, indent=2) + "\n")
    table = Table("", *[str(row["seed"]) for row in rows], "mean")
    for key in mean:
        table.add_row(key, *[str(row[key]) for row in rows], str(mean[key]))
    Console(width=120).print(table)


def measured(rooms: Rooms, seed: int) -> dict[str, Any]:
    """The numbers of one site."""
    folder = rooms.folder / f"site-{seed}"
    truth = make_site(folder, seed, COUNT)
    wanted = params.resolve_folder(str(folder.resolve()))
    pinned = rooms.run(crawler.OPERATIONS[0], CrawlerSettings, wanted)["pinned"]
    images = rooms.run(crawler.OPERATIONS[1], CrawlerSettings, params.collect(rooms.recipe), pinned=pinned)["images"]
    figures = rooms.run(detector.OPERATIONS[0], DetectorSettings, params.detect(rooms.recipe), images=images)["images"]
    cleaned = rooms.run(curator.OPERATIONS[2], CuratorSettings, params.web(rooms.recipe), images=figures)
    packed = rooms.run(
        curator.OPERATIONS[1],
        CuratorSettings,
        params.package(rooms.recipe, JobSpec(seed=seed), "somebody"),
        crops=cleaned["crops"],
    )
    crops = ImageSet.load(rooms.store, cleaned["crops"])
    dataset = ImageSet.load(rooms.store, packed["dataset"])
    report = get_json(rooms.store, cleaned["report"])
    for row in report:
        if sheet := row.get("sheet"):
            (rooms.folder / f"{seed}-{sheet}.png").write_bytes(rooms.store.get(cleaned[sheet].digest))
    print(json.dumps(report))
    kinds = Counter(image.crop for image in dataset)
    return {
        "seed": seed,
        **kept_right([crop.parent for crop in crops], truth),
        "dataset": len(dataset),
        **{f"dataset_{kind}": kinds[kind] for kind in ("person", "halfbody", "head")},
        "tag_f1": tag_f1([image for image in dataset if image.crop == "person"], crops, truth),
        "set_aside": {row["step"]: row["given"] - row["kept"] for row in report},
    }


def kept_right(kept: list[str], truth: Truth) -> dict[str, float]:
    """Precision and recall over what should be kept: each clean picture once, itself or one repeat of it."""
    wanted = {name for name, known in truth.items() if known["what"] == "clean"}
    shown = [truth[name]["repeats"] or name for name in kept]
    right = len(set(shown) & wanted)
    wrong = Counter(truth[name]["what"] for name in kept if (truth[name]["repeats"] or name) not in wanted)
    twice = len(shown) - len(set(shown))
    return {
        "wanted": len(wanted),
        "kept": len(kept),
        "precision": round(right / max(1, len(kept)), 4),
        "recall": round(right / len(wanted), 4),
        "kept_twice": twice,
        **{f"kept_{what}": wrong[what] for what in ("other", "two", "monochrome", "tiny", "blurred", "corrupt")},
    }


def tag_f1(persons: list[Image], crops: ImageSet, truth: Truth) -> float:
    """F1 over the general tags of the person crops; framing words are not counted, for a crop is framed anew."""
    pictures = {crop.name: crop.parent for crop in crops}
    right = given = wanted = 0
    for person in persons:
        true = set(truth[pictures[person.parent]]["tags"]) & set(TAGS) - _ABOUT_THE_FRAME
        found = set(person.tags) - _ABOUT_THE_FRAME
        right, given, wanted = right + len(true & found), given + len(found), wanted + len(true)
    return round(2 * right / max(1, given + wanted), 4)


if __name__ == "__main__":
    main()
