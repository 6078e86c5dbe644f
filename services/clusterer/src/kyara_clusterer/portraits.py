"""What is told of each index: its medoid, how sure it is, and who else it could be."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kyara_clusterer.refine import members_of, shown
from kyara_clusterer.relation import Relation


@dataclass(frozen=True)
class Portrait:
    """An index in numbers."""

    index: int
    pictures: int
    medoid: int
    """Place of the crop that is nearest to all others."""
    confidence: float
    """0..1: how much nearer the crops are to their own index than to the next (simplified silhouette)."""
    nearest: int | None
    """The other index that it could be the same as."""
    nearest_difference: float | None
    """Mean difference of the crops of both."""

    def described(self, names: list[str]) -> dict[str, Any]:
        """As the summary shows it."""
        known = asdict(self) | {"medoid": names[self.medoid], "confidence": round(self.confidence, 4)}
        return known | {"nearest_difference": None if self.nearest is None else round(self.nearest_difference or 0.0, 4)}


def portraits(numbers: np.ndarray, relation: Relation) -> list[Portrait]:
    """A portrait of each index in `numbers` [n] (0 and up; -1 is noise), in order."""
    groups = members_of(numbers)
    centres = np.stack([relation.unit[groups[index]].mean(axis=0) for index in sorted(groups)])
    return [_portrait(index, groups, centres, relation) for index in sorted(groups)]


def _portrait(index: int, groups: dict[int, np.ndarray], centres: np.ndarray, relation: Relation) -> Portrait:
    members = groups[index]
    medoid = int(members[np.argmax(relation.unit[members] @ centres[index])])
    some = shown(members)
    within = relation.differences(some, some).mean(axis=1)
    if len(groups) == 1:
        sure = float(np.mean(within <= relation.metric.threshold))
        return Portrait(index, len(members), medoid, sure, None, None)
    lengths = np.maximum(np.linalg.norm(centres, axis=1), 1e-12)
    cosines = centres @ centres[index] / lengths
    cosines[index] = -np.inf
    nearest = int(np.argmax(cosines))
    across = relation.differences(some, shown(groups[nearest]))
    confidence = float(np.clip(1 - within / np.maximum(across.mean(axis=1), 1e-9), 0, 1).mean())
    return Portrait(index, len(members), medoid, confidence, nearest, float(across.mean()))
