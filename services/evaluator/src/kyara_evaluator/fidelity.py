"""How like the character a save draws, on a scale of the dataset's own that does not end at a threshold.

RecScore asks of each pair whether CCIP would call it the same character. For one with horns it says so of anybody with horns: the
base model alone, told the character's tags, scores high, and so does a save that has hardly learnt. Here the mean difference
itself is placed between two ends that each run measures for itself: what strangers with the same tags get, drawn by the base
model from the same prompts (0), and what the dataset's own pictures get among themselves, each held back in its turn (1).
"""

from dataclasses import dataclass

import numpy as np

LEAST_APART = 0.02
"""Of CCIP difference. Ends that are nearer than this cannot be told apart, and nothing can be placed between them."""


@dataclass(frozen=True)
class Scale:
    """Mean CCIP differences from the dataset's pictures."""

    own: float
    """Of one of them from the others."""
    strangers: float
    """Of the base model's previews."""

    def place(self, differences: np.ndarray) -> np.ndarray:
        """0..1 for each of [n] mean differences."""
        apart = max(self.strangers - self.own, LEAST_APART)
        return np.clip((self.own + apart - differences) / apart, 0.0, 1.0)


def scale_of(own: np.ndarray, strangers: np.ndarray) -> Scale:
    """The scale of a dataset, from the differences [n, n] among its pictures and [m, n] of strangers from them."""
    count = len(own)
    among = float(own.sum() / max(1, count * (count - 1)))
    return Scale(among, float(strangers.mean()))
