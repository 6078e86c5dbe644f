"""How good a CCIP file is: who is told from whom, on characters that training never saw, through onnxruntime.

Pictures are drawn large, cut loosely by their true boxes and squashed to 384 px as dghs-imgutils does it. Each
character is seen in all outfits, framings and both kinds of picture, portraits and scenes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from kyara_miniature.cast import Character, look_alike, make_character
from kyara_miniature.figure import random_view
from kyara_miniature.hand import HOUSE, OTHER, Hand, random_hand
from kyara_miniature.scene import FigureTruth, draw_portrait, draw_scene

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], dtype=np.float32)[:, None, None]
DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], dtype=np.float32)[:, None, None]
UNSEEN, VALIDATION = 5_000_000, 6_000_000
"""Seeds of the characters that quality is measured on, and of those that thresholds are chosen on."""
VIEWS = 8


class CcipFiles:
    """The feature file, and the metric file when it is there."""

    def __init__(self, features: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(features), options, providers=["CPUExecutionProvider"])

    def features(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors [n, 768] of RGB pictures of any size."""
        return np.concatenate([self._one(image) for image in images])

    def _one(self, image: np.ndarray) -> np.ndarray:
        squashed = Image.fromarray(image).resize((384, 384), Image.Resampling.BILINEAR)
        data = (np.asarray(squashed, dtype=np.float32).transpose(2, 0, 1) / 255 - MEAN) / DEVIATION
        return np.asarray(self.session.run(["output"], {"input": data[None].astype(np.float32)})[0])


def crops_of(character: Character, rng: np.random.Generator, hand_of: Callable[[int], Hand], views: int) -> list[np.ndarray]:
    """`views` crops of one character as a pipeline makes them: persons mostly, half bodies and heads too."""
    crops: list[np.ndarray] = []
    while len(crops) < views:
        hand = hand_of(int(rng.integers(1 << 30)))
        if rng.random() < 0.5:
            side = int(rng.integers(200, 400))
            view = random_view(rng, character)
            picture = draw_portrait(character, view, width=side, height=side, hand=hand, rng=rng)
        else:
            seed = int(rng.integers(1 << 30))
            picture = draw_scene(seed, width=1280, height=720, cast=[character], hand=hand, figures=1)
        crops += [cut(picture.image, figure, rng) for figure in picture.figures if figure.height_px >= 96]
    return crops[:views]


def cut(image: np.ndarray, figure: FigureTruth, rng: np.random.Generator) -> np.ndarray:
    """A loose cut of one figure, by its person, half-body or head box (the person's if the other is hidden)."""
    kind = str(rng.choice(["person", "halfbody", "head"], p=[0.6, 0.25, 0.15]))
    boxes = {box.kind: box for box in figure.boxes}
    box = boxes.get(kind) or boxes.get("person") or figure.boxes[0]
    size = np.array([box.x1 - box.x0, box.y1 - box.y0])
    grow = np.tile(size, 2) * rng.uniform(-0.04, 0.1, size=4)
    corners = np.array([box.x0, box.y0, box.x1, box.y1]) + grow * np.array([-1, -1, 1, 1])
    x0, y0, x1, y1 = corners.round().astype(int)
    return image[max(0, y0) : max(y1, y0 + 2), max(0, x0) : max(x1, x0 + 2)]


def cast_features(
    files: CcipFiles, cast: Sequence[Character], seed: int, hand_of: Callable[[int], Hand], views: int = VIEWS
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of `views` crops of each of `cast` [n, 768], and whose each is [n]."""
    rng = np.random.default_rng([seed, 17])
    crops = [files.features(crops_of(character, rng, hand_of, views)) for character in cast]
    return np.concatenate(crops), np.repeat(np.arange(len(cast)), views)


def mixed_hands(seed: int) -> Hand:
    """The house's hand half of the time, otherwise a random one."""
    return HOUSE if seed % 2 else random_hand(seed)


def validation_features(path: Path, characters: int) -> tuple[np.ndarray, np.ndarray]:
    """The vectors that thresholds are chosen on; one character in ten is the look-alike of the one before."""
    cast: list[Character] = []
    for index in range(characters):
        seed = VALIDATION + index
        cast.append(look_alike(cast[-1], seed) if index % 10 == 1 else make_character(seed))
    return cast_features(CcipFiles(path), cast, VALIDATION, mixed_hands)


def auc(apart: np.ndarray, same: np.ndarray) -> float:
    """The odds that a pair of the same character is closer than a pair of different ones (ties count half)."""
    order = np.argsort(apart, kind="stable")
    ranks = np.empty(len(apart))
    ranks[order] = np.arange(1, len(apart) + 1)
    wanted = same.sum()
    below = ranks[~same].sum() - (~same).sum() * ((~same).sum() + 1) / 2
    return round(float(below / (wanted * (~same).sum())), 5)


def pairs(apart: np.ndarray, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The upper triangle of a difference matrix and whether each pair is of one character."""
    rows, columns = np.triu_indices(len(who), k=1)
    return apart[rows, columns], who[rows] == who[columns]


def rank_one(apart: np.ndarray, who: np.ndarray) -> float:
    """How often the nearest other picture is of the same character."""
    nearest = (apart + 10 * np.eye(len(who))).argmin(axis=1)
    return round(float((who[nearest] == who).mean()), 4)


def operating_point(apart: np.ndarray, who: np.ndarray) -> dict[str, float]:
    """Threshold of best F1 for "same character", over pairs weighted so that both kinds weigh the same."""
    values, same = pairs(apart, who)
    order = np.argsort(values, kind="stable")
    values, same = values[order], same[order]
    right = np.cumsum(same) / same.sum()
    wrong = np.cumsum(~same) / (~same).sum()
    f1 = 2 * right / (1 + right + wrong)
    best = int(f1.argmax())
    return {
        "f1_score": float(f1[best]),
        "precision": float(right[best] / (right[best] + wrong[best])),
        "recall": float(right[best]),
        "threshold": float((values[best] + values[min(best + 1, len(values) - 1)]) / 2),
    }


def told_apart(files: CcipFiles, cast: Sequence[Character], hand_of: Callable[[int], Hand]) -> dict[str, float]:
    """Verification AUC and rank-1 over crops of `cast`."""
    features, who = cast_features(files, cast, UNSEEN, hand_of)
    apart = (1 - features @ features.T) / 2
    return {"auc": auc(*pairs(apart, who)), "rank1": rank_one(apart, who)}


def measure(folder: Path, characters: int = 60, first_seed: int = UNSEEN) -> dict[str, Any]:
    """AUC and rank-1 on unseen characters: in the house's hand, in mixed hands, in the hand kept from training, and
    AUC between a character and their look-alike alone."""
    files = CcipFiles(folder / "model_feat.onnx")
    cast = [make_character(first_seed + index) for index in range(characters)]
    return {
        "characters": characters,
        "pictures_each": VIEWS,
        "house_hand": told_apart(files, cast, lambda seed: HOUSE),
        "mixed_hands": told_apart(files, cast, mixed_hands),
        "other_hand": told_apart(files, cast, lambda seed: OTHER),
        "look_alikes_auc": look_alikes(files, cast[: characters // 3]),
    }


def look_alikes(files: CcipFiles, cast: Sequence[Character]) -> float:
    """Mean AUC of telling each character from their look-alike, in the house's hand."""
    scores: list[float] = []
    for index, character in enumerate(cast):
        two = [character, look_alike(character, UNSEEN + index)]
        features, who = cast_features(files, two, UNSEEN + index, lambda seed: HOUSE)
        scores.append(auc(*pairs((1 - features @ features.T) / 2, who)))
    return round(float(np.mean(scores)), 4)
