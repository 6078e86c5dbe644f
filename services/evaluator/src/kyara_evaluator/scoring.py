"""RecScore and the choice of the best step.

RecScore as DeepGHS published it with v1.4 of their training automation: the mean over every pair of a preview and a
picture of the dataset of whether CCIP sees the same character in both, its difference being at most the model's threshold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FLAT = 2.0
"""A picture whose values deviate less than this (of 255) shows nothing."""
NOISE = 0.5
"""Correlation of pixels with their neighbours under which a picture is noise; that of drawings is above 0.7."""


@dataclass(frozen=True)
class Preview:
    """A preview as it is scored."""

    step: int
    prompt: str
    corrupt: bool


@dataclass(frozen=True)
class StepScore:
    """How a save, or the base model at step 0, did."""

    step: int
    recscore: float
    mean_difference: float
    per_prompt: Mapping[str, float]
    corrupt: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "step": self.step,
            "recscore": self.recscore,
            "mean_difference": self.mean_difference,
            "per_prompt": dict(self.per_prompt),
            "corrupt": self.corrupt,
        }


def shows_nothing(pixels: np.ndarray) -> bool:
    """Whether a picture [h, w, 3] uint8 is of one colour, or noise."""
    return bool(pixels.reshape(-1, 3).std(axis=0).max() < FLAT) or _smoothness(pixels) < NOISE


def _smoothness(pixels: np.ndarray) -> float:
    """Correlation of pixels with those to the right of them and below them, by their mean of three colours; 1 with none."""
    grey = pixels.mean(axis=2)
    grey -= grey.mean()
    power = float((grey**2).mean())
    neighbours = [float((one * other).mean()) for one, other in ((grey[:, 1:], grey[:, :-1]), (grey[1:], grey[:-1])) if one.size]
    return sum(neighbours) / len(neighbours) / power if neighbours and power else 1.0


def score_steps(previews: Sequence[Preview], differences: np.ndarray, threshold: float) -> list[StepScore]:
    """Scores by step, ascending. `differences` is [previews, pictures of the dataset], 0 same .. 1 different.

    A corrupt preview is like no picture of the dataset, whatever the model makes of it.
    """
    corrupt = np.array([preview.corrupt for preview in previews])
    settled = np.where(corrupt[:, None], 1.0, differences).astype(np.float64)
    same = (settled <= threshold) & ~corrupt[:, None]
    by_step: dict[int, list[int]] = {}
    for row, preview in enumerate(previews):
        by_step.setdefault(preview.step, []).append(row)
    return [
        StepScore(
            step=step,
            recscore=float(same[rows].mean()),
            mean_difference=float(settled[rows].mean()),
            per_prompt={previews[row].prompt: float(same[row].mean()) for row in rows},
            corrupt=int(corrupt[rows].sum()),
        )
        for step, rows in sorted(by_step.items())
    ]


def eligible(scores: Sequence[StepScore], images: int, min_steps_per_image: float) -> list[StepScore]:
    """Scores of saves with enough steps for each of `images` pictures; all where none has."""
    late_enough = [score for score in scores if score.step >= min_steps_per_image * images]
    return late_enough or list(scores)


def best_step(scores: Sequence[StepScore], images: int, min_steps_per_image: float) -> tuple[int, str]:
    """The best save's step and the rule that chose it: the highest RecScore, the earliest when several have it."""
    first = min_steps_per_image * images
    candidates = eligible(scores, images, min_steps_per_image)
    chosen = min(candidates, key=lambda score: (-score.recscore, score.step))
    where = f"among saves at or past step {first:g} ({min_steps_per_image:g} a picture, {images} pictures)"
    if candidates[0].step < first:
        where = f"among all saves, none being at or past step {first:g} ({min_steps_per_image:g} a picture, {images} pictures)"
    return chosen.step, f"highest RecScore {where}; the earliest of equals"
