"""How crops relate to each other: the model's differences, and what is known from the video."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kyara_artifacts import Image
from kyara_clusterer.metric import Metric, unit_vectors
from kyara_clusterer.neighbours import Neighbours, nearest
from kyara_clusterer.tracks import followed, held_apart


@dataclass(frozen=True)
class Relation:
    """n crops and what is known of them; nothing here grows with n squared."""

    unit: np.ndarray
    """[n, d] float32, of length 1."""
    metric: Metric
    neighbours: Neighbours
    apart: np.ndarray
    """[m, 2] int: pairs of crops, a < b, that are two characters whatever the model says."""
    track: np.ndarray
    """[n] int: crops of one track are one character whatever the model says."""

    def __len__(self) -> int:
        return len(self.unit)

    def differences(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Differences [a, b] of all pairs of two lists of places."""
        return self.metric(self.unit[some] @ self.unit[others].T)

    def pairwise(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Differences [a] of two equally long lists of places, one by one."""
        return self.metric(np.einsum("ij,ij->i", self.unit[some], self.unit[others]))

    @cached_property
    def rivals(self) -> dict[int, list[int]]:
        """By place, the places that are held apart from it."""
        found: dict[int, list[int]] = {}
        for a, b in self.apart.tolist():
            found.setdefault(a, []).append(b)
            found.setdefault(b, []).append(a)
        return found


def relate(crops: Sequence[Image], vectors: np.ndarray, metric: Metric) -> Relation:
    """The relation of `crops`, whose vectors are [n, d]."""
    unit = unit_vectors(vectors)

    def difference(a: int, b: int) -> float:
        return float(metric(unit[a] @ unit[b]))

    track = followed(crops, difference, metric.threshold)
    return Relation(unit, metric, nearest(unit, metric), held_apart(crops), track)
