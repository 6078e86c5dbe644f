"""Which clusters of HDBSCAN's hierarchy to believe.

HDBSCAN's own choice depends on settings that swing the result from useless to excellent on the same vectors, and the best
ones differ from episode to episode. So the clusters are taken that agree best with what the model says of single pairs,
at any level of the tree (the framework of Campello, Moulavi, Zimek and Sander, 2013), and of a few trees the best. The
measure is that of correlation clustering (Bansal, Blum and Chawla, 2004): pairs that share a cluster add their evidence,
which is negative where the model says 'different'; noise shares nothing. It needs no truth and no number of
characters, and it counts a character torn in two as it counts two thrown together. In a large cluster it is taken over
the pairs of some members from all over it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kyara_clusterer.cosines import one_thread
from kyara_clusterer.hierarchy import Graph, Offer, offered
from kyara_clusterer.relation import Relation

NOISE = -1
MIN_SAMPLES = (2, 8)
"""Trees that are tried: how many neighbours a crop needs nearby to be in the thick of it."""
_SHOWN = 32
"""Members that stand for a cluster."""
_SURE = 0.02
"""Share of evidence against a cluster up to which it is not worth looking at its parts."""


@dataclass(frozen=True)
class Partition:
    """The best clusters of one tree."""

    min_samples: int
    labels: np.ndarray
    """[n] int, clusters in any order, -1 noise."""
    agreement: float
    """Evidence of the pairs that share a cluster, for each crop."""

    @property
    def described(self) -> dict[str, object]:
        """As the summary shows it."""
        return {
            "min_samples": self.min_samples,
            "agreement": round(self.agreement, 6),
            "clusters": int(self.labels.max(initial=NOISE)) + 1,
            "noise": int((self.labels == NOISE).sum()),
        }


@one_thread
def search(relation: Relation, min_cluster_size: int, trees: Iterable[int] = MIN_SAMPLES) -> list[Partition]:
    """The best partition of the tree of each `min_samples`, the best first; equals stay in order."""
    graph = Graph(relation.neighbours, relation.track)
    evidence = Evidence(relation)
    found: list[Partition] = []
    for min_samples in trees:
        offer = offered(graph.tree(min_samples), min_cluster_size)
        labels, total = _best(offer, evidence.within(offer))
        found.append(Partition(min_samples, labels, total / len(relation)))
    return sorted(found, key=lambda each: -round(each.agreement, 9))


def ranked(labels: np.ndarray) -> np.ndarray:
    """`labels` with the largest cluster as 0, the next as 1, ...; of equals, the one with the first crop."""
    clusters, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    order = order[clusters[order] != NOISE]
    number = np.full(len(clusters), NOISE)
    number[order] = np.arange(len(order))
    return number[np.searchsorted(clusters, labels)]


class Evidence:
    """What pairs say for and against clusters."""

    def __init__(self, relation: Relation) -> None:
        self._relation = relation
        self._rivals = _rivals(relation.apart, len(relation))

    def within(self, offer: Offer) -> np.ndarray:
        """[m]: the sum over the pairs of each cluster; -inf in a cluster that nothing speaks against, for its parts.

        A crop that shares its cluster with another figure of its own frame is in the wrong place, or that figure is:
        what speaks for it there does not count, and each such pair speaks against it.
        """
        place = np.empty(len(offer.order) + 1, np.int64)
        place[offer.order], place[-1] = np.arange(len(offer.order)), -1
        clashes = _clashes(offer, self._relation.apart).tolist()
        start, size, parent = offer.start.tolist(), offer.size.tolist(), offer.parent.tolist()
        total, split = [-np.inf] * len(size), [False] * len(size)
        for each in range(len(size) - 1, -1, -1):
            if split[parent[each]] or each == parent[each]:
                shown = offer.order[start[each] + np.arange(min(size[each], _SHOWN)) * size[each] // min(size[each], _SHOWN)]
                rivals = place[self._rivals[shown]]
                clean = ~((rivals >= start[each]) & (rivals < start[each] + size[each])).any(axis=1)
                speaks_for, against = self._among(shown, clean)
                pairs = size[each] * (size[each] - 1) / (len(shown) * (len(shown) - 1))
                against = against * pairs + clashes[each]
                total[each] = speaks_for * pairs - against
                split[each] = against > _SURE * speaks_for * pairs
        return np.array(total)

    def _among(self, shown: np.ndarray, clean: np.ndarray) -> tuple[float, float]:
        """Evidence for and against over the pairs of `shown`, for it between `clean` ones alone."""
        threshold = self._relation.metric.threshold
        evidence = np.clip((threshold - self._relation.differences(shown, shown)) / threshold, -1, 1)
        np.fill_diagonal(evidence, 0)
        positive = np.maximum(evidence, 0)
        against = float(positive.sum() - evidence.sum()) / 2
        return float(clean @ positive @ clean) / 2, against


def _best(offer: Offer, evidence: np.ndarray) -> tuple[np.ndarray, float]:
    """Labels [n] of the clusters, none within another, whose evidence is greatest in sum, and that sum."""
    known, parent = evidence.tolist(), offer.parent.tolist()
    parts, best, chosen = [0.0] * len(known), [0.0] * len(known), [False] * len(known)
    for each in range(len(known)):
        chosen[each] = known[each] > 0 and known[each] >= parts[each]
        best[each] = known[each] if chosen[each] else parts[each]
        parts[parent[each]] += best[each]
    labels, found = [NOISE] * len(known), 0
    for each in range(len(known) - 1, -1, -1):
        labels[each] = labels[parent[each]]
        if chosen[each] and labels[each] == NOISE:
            labels[each], found = found, found + 1
    return np.array(labels)[offer.of], best[-1]


def _clashes(offer: Offer, apart: np.ndarray) -> np.ndarray:
    """[m]: pairs held apart in each cluster."""
    a, b = offer.of[apart].T
    while (a != b).any():
        a, b = np.where(a < b, offer.parent[a], a), np.where(b < a, offer.parent[b], b)
    counts = np.bincount(a, minlength=len(offer.size)).tolist()
    for each, parent in enumerate(offer.parent[:-1].tolist()):
        counts[parent] += counts[each]
    return np.array(counts)


def _rivals(apart: np.ndarray, count: int) -> np.ndarray:
    """[n, most]: the places held apart from each; -1 where there are fewer."""
    pairs = np.concatenate([apart, apart[:, ::-1]])
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    counts = np.bincount(pairs[:, 0], minlength=count)
    found = np.full((count, int(counts.max(initial=0))), -1)
    found[pairs[:, 0], np.arange(len(pairs)) - np.repeat(np.cumsum(counts) - counts, counts)] = pairs[:, 1]
    return found
