"""Which of HDBSCAN's settings to believe.

Its settings swing the result from useless to excellent on the same vectors, and the best ones differ from episode to
episode. So many are tried, and the partition is taken that agrees best with what the model says of single pairs. The
measure is that of correlation clustering (Bansal, Blum and Chawla, 2004): pairs that share a cluster add their
evidence, which is negative where the model says 'different'; noise shares nothing. It needs no truth and no number of
characters, and it counts a character torn in two as it counts two thrown together. On made-up casts of known truth it
chose far better than the silhouette, and at least as well as F1 over pairs. In a large cluster it is taken over pairs
drawn by chance, the same ones each time.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from kyara_clusterer.hierarchy import Clusters, hierarchy
from kyara_clusterer.relation import Relation

NOISE = -1
_MIN_SAMPLES = (1, 2, 3, 5, 8, 12)
_GROWTH = (1, 1.6, 2.4, 4)
_PAIRS_PER_MEMBER = 16
_MOST_PAIRS = 8192


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
    """Evidence of the pairs that share a cluster, for each crop."""

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


def search(relation: Relation, settings: Iterable[Setting]) -> list[Partition]:
    """The partition of each setting, the best first; equals stay in the order of `settings`."""
    evidence = Evidence(relation)
    found: list[Partition] = []
    tree_of = lru_cache(1)(lambda samples: hierarchy(relation, samples))
    clusters_of = lru_cache(1)(lambda samples, size: Clusters(tree_of(samples), size))
    for setting in settings:
        labels = clusters_of(setting.min_samples, setting.min_cluster_size).chosen(setting.method, setting.single)
        found.append(Partition(setting, labels, evidence.of(labels) / len(relation)))
    return sorted(found, key=lambda each: -round(each.agreement, 9))


def ranked(labels: np.ndarray) -> np.ndarray:
    """`labels` with the largest cluster as 0, the next as 1, ...; of equals, the one with the first crop."""
    clusters, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = sorted(
        (-size, place, cluster) for cluster, place, size in zip(clusters, first, sizes, strict=True) if cluster != NOISE
    )
    numbers = np.full(len(labels), NOISE)
    for number, (_, _, cluster) in enumerate(order):
        numbers[labels == cluster] = number
    return numbers


class Evidence:
    """What pairs say for and against a partition; clusters that several partitions share are weighed once."""

    def __init__(self, relation: Relation) -> None:
        self._relation = relation
        self._known: dict[bytes, float] = {}

    def of(self, labels: np.ndarray) -> float:
        """Sum over the pairs that share a cluster."""
        order = np.argsort(labels, kind="stable")
        bounds = np.flatnonzero(np.diff(labels[order], prepend=labels[order[0]] - 1))
        groups = np.split(order, bounds[1:])
        return sum(self._within(group) for group in groups if labels[group[0]] != NOISE)

    def _within(self, members: np.ndarray) -> float:
        key = members.tobytes()
        if key not in self._known:
            self._known[key] = self._weighed(members)
        return self._known[key]

    def _weighed(self, members: np.ndarray) -> float:
        """A crop that shares its cluster with another figure of its own frame is in the wrong place, or that figure is:
        what speaks for it there does not count, and each such pair speaks against it."""
        inside, rivals = set(members.tolist()), self._relation.rivals
        clashes = [sum(rival in inside for rival in rivals.get(place, ())) for place in members.tolist()]
        clean = np.array(clashes) == 0
        a, b, each = _pairs(len(members))
        threshold = self._relation.metric.threshold
        apart = self._relation.pairwise(members[a], members[b])
        evidence = np.clip((threshold - apart) / threshold, -1, 1)
        counted = np.where(clean[a] & clean[b], evidence, np.minimum(evidence, 0))
        return float(counted.sum()) * each - sum(clashes) / 2


def _pairs(count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Pairs (a, b) among `count`, all or some of them, and for how many pairs each stands."""
    every = count * (count - 1) // 2
    wanted = min(_PAIRS_PER_MEMBER * count, _MOST_PAIRS)
    if every <= wanted:
        a, b = np.triu_indices(count, 1)
        return a, b, 1.0
    rng = np.random.default_rng(count)
    a = rng.integers(count, size=wanted)
    return a, (a + rng.integers(1, count, size=wanted)) % count, every / wanted
