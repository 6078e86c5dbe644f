"""How crops relate to each other: the model's differences, and what is known from the video."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kyara_artifacts import Image
from kyara_clusterer.cosines import Cosines
from kyara_clusterer.metric import Metric
from kyara_clusterer.neighbours import Neighbours, nearest
from kyara_clusterer.tracks import followed, held_apart


@dataclass(frozen=True)
class Relation:
    """n crops and what is known of them; nothing here grows with n squared beyond a few episodes."""

    cosines: Cosines
    metric: Metric
    neighbours: Neighbours
    apart: np.ndarray
    """[m, 2] int: pairs of crops, a < b, that are two characters whatever the model says."""
    track: np.ndarray
    """[n] int: crops of one track are one character whatever the model says."""

    def __len__(self) -> int:
        return len(self.cosines)

    @property
    def unit(self) -> np.ndarray:
        """The vectors [n, d] float32, of length 1."""
        return self.cosines.unit

    def differences(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Differences [a, b] of all pairs of two lists of places."""
        return self.metric(self.cosines.between(some, others))

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
    cosines = Cosines.of(vectors)

    def differences(some: np.ndarray, others: np.ndarray) -> np.ndarray:
        return metric(np.einsum("ij,ij->i", cosines.unit[some], cosines.unit[others]))

    track = followed(crops, differences, metric.threshold)
    return Relation(cosines, metric, nearest(cosines, metric), held_apart(crops), track)
