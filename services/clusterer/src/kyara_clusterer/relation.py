"""How crops relate to each other: the model's differences, what they say for and against one character, and what is known.

Two figures in one frame are two characters, so their crops are held apart whatever the model says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kyara_artifacts import Image

# Boxes of one frame that overlap more than this may be two boxes of one figure.
_ONE_FIGURE_IOU = 0.3


@dataclass(frozen=True)
class Relation:
    """All pairs of n crops."""

    differences: np.ndarray
    """[n, n] float64, symmetric, 0 same .. 1 different."""
    same: np.ndarray
    """[n, n] bool: the difference is at most the model's threshold, and the pair is not held apart."""
    evidence: np.ndarray
    """[n, n] float64, 1 (surely one character) .. 0 (at the threshold) .. -1 (surely two); 0 on the diagonal."""
    apart: np.ndarray
    """[n, n] bool: two figures of one frame."""

    def __len__(self) -> int:
        return len(self.differences)


def relate(crops: Sequence[Image], differences: np.ndarray, threshold: float) -> Relation:
    """The relation of `crops`, whose `differences` are [n, n], under a model's `threshold`."""
    exact = differences.astype(np.float64)
    exact = np.maximum((exact + exact.T) / 2, 0)
    np.fill_diagonal(exact, 0)
    apart = _apart(crops)
    evidence = np.clip((threshold - exact) / threshold, -1, 1)
    evidence[apart] = -1
    np.fill_diagonal(evidence, 0)
    return Relation(exact, (exact <= threshold) & ~apart, evidence, apart)


def _apart(crops: Sequence[Image]) -> np.ndarray:
    """[n, n] bool: pairs of crops that show two figures of one frame."""
    found = np.zeros((len(crops), len(crops)), bool)
    frames: dict[tuple[str, str], list[int]] = {}
    for place, crop in enumerate(crops):
        if crop.parent and crop.parent_box:
            frames.setdefault((crop.source, crop.parent), []).append(place)
    for places in frames.values():
        for a in places:
            for b in places:
                if a != b and _iou(crops[a], crops[b]) < _ONE_FIGURE_IOU:
                    found[a, b] = True
    return found


def _iou(one: Image, other: Image) -> float:
    assert one.parent_box
    assert other.parent_box
    a, b = one.parent_box, other.parent_box
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (areas - shared) if areas > shared else 0.0
