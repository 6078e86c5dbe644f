"""`make accuracy-video`: from episodes to characters, against the truth, beside plain clusterings of the same vectors."""

import argparse
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import adjusted_rand_score

from kyara_artifacts import get_json
from kyara_cli.demo.results import cluster_ari, identities_of, person_recall, shown_characters, shown_figures
from kyara_jobs.recipe import recipe_named
from kyara_miniature.cast import Character
from kyara_miniature.script import write_script
from tests.accuracy import peers
from tests.accuracy.duplicates import duplicate_f1
from tests.accuracy.flaws import flaw_aucs
from tests.accuracy.framings import framing_aucs
from tests.accuracy.references import recognition
from tests.accuracy.season import Rooms, Seen
from tests.accuracy.small import small_figure_recall
from tests.servers.inference import inference_server

SEEDS = (101, 102, 103, 104)
SECONDS = 240
MAIN = 10
EXTRAS = 1


def main() -> None:
    """Measure every episode and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.video", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/accuracy-video"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--keep", action="store_true", help="take episodes and results of the run before where they still fit")
    asked = parser.parse_args()
    if not asked.keep:
        shutil.rmtree(asked.out, ignore_errors=True)
    asked.out.mkdir(parents=True, exist_ok=True)
    with inference_server(asked.out) as server:
        rooms = Rooms(recipe_named("miniature"), asked.out, server.address)
        rows = []
        for seed in asked.seeds:
            seen = rooms.see(seed, seconds=SECONDS, main=MAIN, look_alikes=True)
            rows.append(measured(rooms, seen, write_script(seed, SECONDS, MAIN, EXTRAS, look_alikes=True).main))
            print(json.dumps(rows[-1]), flush=True)
    mean = {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}
    (asked.out / "results.json").write_text(json.dumps({"episodes": rows, "mean": mean}, indent=2) + "\n")
    table = Table("", *[str(row["seed"]) for row in rows], "mean")
    for key in rows[0]:
        table.add_row(key, *[str(row[key]) for row in rows], str(mean[key]))
    Console(width=120).print(table)


def measured(rooms: Rooms, seen: Seen, cast: tuple[Character, ...]) -> dict[str, Any]:
    """The numbers of one episode."""
    identities = identities_of(seen.clusters, seen.figures, seen.truth)
    found = shown_characters(seen.clusters, identities)
    known = [crop for crop in seen.clusters if crop.name in identities]
    truth = [identities[crop.name] for crop in known]
    plain = {name: labels(rooms, seen) for name, labels in peers.CLUSTERINGS.items()}
    return {
        "seed": seen.seed,
        "frames": len(seen.frames),
        "crops": len(seen.crops),
        "person_recall": person_recall(seen.figures, seen.truth),
        **small_figure_recall(rooms, seen),
        "characters_true": len(seen.truth.main),
        "characters_found": len(set(seen.truth.main) & found),
        "indexes": get_json(rooms.store, seen.summary)["characters"],
        "ari": cluster_ari(seen.clusters, identities),
        "outfit_ari": outfit_ari(seen),
        "duplicate_f1": duplicate_f1(rooms, seen),
        "purity": purity([crop.index if crop.index is not None else -1 for crop in known], truth),
        "noise": sum(crop.index == -1 for crop in known),
        **{
            f"ari_{name}": round(float(adjusted_rand_score(truth, [given[crop.name] for crop in known])), 4)
            for name, given in plain.items()
        },
        **recognition(rooms, seen, identities, cast),
        **flaw_aucs(rooms, seen),
        **framing_aucs(rooms, seen.seed),
    }


def outfit_ari(seen: Seen) -> float:
    """Adjusted Rand index of the outfits within each true character, weighted by its crops."""
    shown = shown_figures(seen.clusters, seen.figures, seen.truth)
    by_identity: dict[str, list[tuple[str, str]]] = {}
    for crop in seen.clusters:
        if crop.name in shown and crop.outfit is not None:
            figure = shown[crop.name]
            by_identity.setdefault(figure.identity, []).append((figure.outfit, f"{crop.index}/{crop.outfit}"))
    scores = [adjusted_rand_score(*zip(*pairs, strict=True)) for pairs in by_identity.values()]
    return round(float(np.average(scores, weights=[len(pairs) for pairs in by_identity.values()])), 4)


def purity(labels: list[int], truth: list[str]) -> float:
    """Share of the clustered crops that show the character that most of their cluster shows."""
    members: dict[int, Counter[str]] = {}
    for label, identity in zip(labels, truth, strict=True):
        if label >= 0:
            members.setdefault(label, Counter())[identity] += 1
    total = sum(each.total() for each in members.values())
    return round(sum(each.most_common(1)[0][1] for each in members.values()) / max(total, 1), 4)


if __name__ == "__main__":
    main()
