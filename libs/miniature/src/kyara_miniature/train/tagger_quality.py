"""How good a tagger file is: F1 of every tag on characters that training never saw, through onnxruntime.

Pictures are prepared as dghs-imgutils does it for WD14: padded white to a square, 448 px, BGR.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from kyara_miniature.cast import make_character
from kyara_miniature.figure import random_view
from kyara_miniature.hand import HOUSE, random_hand
from kyara_miniature.scene import draw_portrait
from kyara_miniature.tags import TAGS
from kyara_miniature.train.tagger_labels import HEAD, WHOLE, labels_of

SIZE = 448
GENERAL_THRESHOLD = 0.35
RATINGS = ("general", "sensitive", "questionable", "explicit")
UNSEEN = 5_000_000
FEWEST = 5
"""A tag shown fewer times than this in the measured pictures has no F1 worth the name."""
HEAD_SHARE = 0.25


def write_tag_list(path: Path, counts: Sequence[int]) -> None:
    """`selected_tags.csv` as WD14 has it: ratings (category 9) first, then TAGS (0) with how often they were seen."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["tag_id", "name", "category", "count"])
        for index, name in enumerate(RATINGS):
            writer.writerow([9999990 + index, name, 9, sum(counts) if index == 0 else 0])
        for index, (name, count) in enumerate(zip(TAGS, counts, strict=True)):
            writer.writerow([index, name, 0, count])


class TaggerFiles:
    """A tagger's ONNX file and its tag list."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        path = str(folder / "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        with (folder / "selected_tags.csv").open(newline="") as file:
            self.general = [i for i, row in enumerate(csv.DictReader(file)) if row["category"] == "0"]

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """How sure each of TAGS is, [len(TAGS)], for an RGB picture of any size."""
        height, width = image.shape[:2]
        side = max(height, width)
        square = Image.new("RGB", (side, side), (255, 255, 255))
        square.paste(Image.fromarray(image), ((side - width) // 2, (side - height) // 2))
        data = np.asarray(square.resize((SIZE, SIZE), Image.Resampling.BICUBIC), dtype=np.float32)
        data = np.ascontiguousarray(data[None, :, :, ::-1])
        return np.asarray(self.session.run(["output"], {"input": data})[0])[0, self.general]


def f1_scores(given: np.ndarray, shown: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """F1 of each tag, [t], from bool arrays [n, t]; nan for tags shown fewer than FEWEST times."""
    right = (given & shown & counts).sum(axis=0)
    wrong = (given & ~shown & counts).sum(axis=0)
    wanted = (shown & counts).sum(axis=0)
    return np.where(wanted >= FEWEST, 2 * right / np.maximum(right + wrong + wanted, 1), np.nan)


@dataclass(frozen=True)
class Judged:
    """What a tagger says of n pictures, and what is to be seen."""

    probabilities: np.ndarray
    """[n, t]"""
    shown: np.ndarray
    """[n, t] bool"""
    counts: np.ndarray
    """[n, t] bool: whether it can be said for sure."""
    kinds: np.ndarray
    """[n]: HEAD or WHOLE."""


def judge(folder: Path, characters: int, first_seed: int) -> Judged:
    """One whole picture of each character, in the house's hand half of the time, or of a quarter of them a crop of the head."""
    files, rng = TaggerFiles(folder), np.random.default_rng([first_seed, 23])
    given: list[np.ndarray] = []
    tags: list[np.ndarray] = []
    kinds: list[int] = []
    for index in range(characters):
        character = make_character(first_seed + index)
        hand = HOUSE if index % 2 else random_hand(int(rng.integers(1 << 30)))
        width, height = int(rng.integers(224, 448)), int(rng.integers(320, 448))
        view = random_view(rng, character)
        picture = draw_portrait(character, view, width=width, height=height, hand=hand, rng=rng)
        image, kind = picture.image, WHOLE
        heads = [box for figure in picture.figures for box in figure.boxes if box.kind == "head"]
        if heads and rng.random() < HEAD_SHARE:
            box, kind = heads[0], HEAD
            image = image[round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)]
        given.append(files.probabilities(image))
        tags.append(np.array([tag in picture.tags for tag in TAGS]))
        kinds.append(kind)
    shown, counts = labels_of(np.stack(tags), np.array(kinds), np.ones(characters, dtype=bool))
    return Judged(np.stack(given), shown, counts, np.array(kinds))


def measure(folder: Path, characters: int, first_seed: int = UNSEEN) -> dict[str, Any]:
    """Mean F1 over the tags at WD14's threshold."""
    judged = judge(folder, characters, first_seed)
    given, heads = judged.probabilities > GENERAL_THRESHOLD, judged.kinds == HEAD
    scores = f1_scores(given, judged.shown, judged.counts)
    heads_only = f1_scores(given[heads], judged.shown[heads], judged.counts[heads])
    return {
        "pictures": characters,
        "threshold": GENERAL_THRESHOLD,
        "mean_f1": round(float(np.nanmean(scores)), 4),
        "mean_f1_heads": round(float(np.nanmean(heads_only)), 4),
        "f1": {tag: round(float(score), 3) for tag, score in zip(TAGS, scores, strict=True) if score == score},
    }
