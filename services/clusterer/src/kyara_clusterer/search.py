"""HDBSCAN, and which of its settings to believe.

Its settings swing the result from useless to excellent on the same vectors, and the best ones differ from episode to
episode. So many are tried, and the partition is taken that agrees best with what the model says of single pairs. The
measure is that of correlation clustering (Bansal, Blum and Chawla, 2004): pairs that share a cluster add their
evidence, which is negative where the model says 'different'; noise shares nothing. It needs no truth and no number of
characters, and it counts a character torn in two as it counts two thrown together. On made-up casts of known truth it
chose far better than the silhouette, and at least as well as F1 over pairs.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import joblib
import numpy as np
from hdbscan import HDBSCAN

from kyara_clusterer.relation import Relation

NOISE = -1
_MIN_SAMPLES = (1, 2, 3, 5, 8, 12)
_GROWTH = (1, 1.6, 2.4, 4)


@dataclass(frozen=True)
class Setting:
    """One way to run HDBSCAN."""

    min_cluster_size: int
    min_samples: int
    method: str
    """`eom` or `leaf`."""
    single: bool
    """Whether one cluster of everything is an answer."""


@dataclass(frozen=True)
class Partition:
    """What a setting found."""

    setting: Setting
    labels: np.ndarray
    """[n] int, clusters in any order, -1 noise."""
    agreement: float
    """Evidence of the pairs that share a cluster, as a share of the most that any partition could have."""

    @property
    def described(self) -> dict[str, object]:
        """As the summary shows it."""
        return {
            **asdict(self.setting),
            "agreement": round(self.agreement, 6),
            "clusters": int(self.labels.max(initial=NOISE)) + 1,
            "noise": int((self.labels == NOISE).sum()),
        }


def settings_for(count: int, min_cluster_size: int) -> list[Setting]:
    """What is worth trying on `count` crops."""
    sizes = sorted({round(min_cluster_size * growth) for growth in _GROWTH})
    return [
        Setting(size, samples, method, single)
        for samples in _MIN_SAMPLES
        if samples < count
        for size in sizes
        if size == min_cluster_size or size <= count // 4
        for method in ("eom", "leaf")
        for single in (False, True)
    ]


def search(relation: Relation, settings: Iterable[Setting], folder: Path) -> list[Partition]:
    """The partition of each setting, the best first; equals stay in the order of `settings`.

    `folder` takes what settings share.
    """
    memory = joblib.Memory(folder, verbose=0)
    most = max(float(relation.evidence[relation.evidence > 0].sum()), 1e-12)
    found = []
    for setting in settings:
        labels = _hdbscan(relation, setting, memory)
        found.append(Partition(setting, labels, _evidence_of(labels, relation) / most))
    return sorted(found, key=lambda each: -round(each.agreement, 9))


def ranked(labels: np.ndarray) -> np.ndarray:
    """`labels` with the largest cluster as 0, the next as 1, ...; of equals, the one with the first crop."""
    clusters = [cluster for cluster in np.unique(labels) if cluster != NOISE]
    order = sorted(clusters, key=lambda cluster: (-int((labels == cluster).sum()), int((labels == cluster).argmax())))
    numbers = np.full(len(labels), NOISE)
    for number, cluster in enumerate(order):
        numbers[labels == cluster] = number
    return numbers


def _hdbscan(relation: Relation, setting: Setting, memory: joblib.Memory) -> np.ndarray:
    model = HDBSCAN(
        metric="precomputed",
        min_cluster_size=setting.min_cluster_size,
        min_samples=setting.min_samples,
        cluster_selection_method=setting.method,
        allow_single_cluster=setting.single,
        memory=memory,
    )
    return np.asarray(model.fit_predict(relation.differences))


def _evidence_of(labels: np.ndarray, relation: Relation) -> float:
    """Sum over the pairs that share a cluster. A crop that shares it with another figure of its own frame is in the
    wrong place, or that figure is: what speaks for it there does not count."""
    total = 0.0
    for cluster in np.unique(labels[labels != NOISE]):
        members = np.flatnonzero(labels == cluster)
        among = np.ix_(members, members)
        clean = ~relation.apart[among].any(axis=1)
        evidence = relation.evidence[among]
        total += float(np.where(np.outer(clean, clean), evidence, np.minimum(evidence, 0)).sum())
    return total
