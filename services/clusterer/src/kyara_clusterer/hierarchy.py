"""HDBSCAN's hierarchy over nearest neighbours alone, and the partitions that it offers.

Source: Campello, Moulavi and Sander 2013, as the hdbscan library does it; the minimum spanning tree of the mutual
reachability is taken over the graph of neighbours in place of all pairs, which is what grows with n squared.
"""

from itertools import pairwise

import numpy as np
from hdbscan._hdbscan_linkage import label
from hdbscan._hdbscan_tree import compute_stability, condense_tree, get_clusters
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from kyara_clusterer.relation import Relation

# Crops that no chain of neighbours joins are further apart than any difference.
_UNRELATED = 2.0
# scipy takes an edge of weight 0 for none.
_LEAST = 1e-6


def hierarchy(relation: Relation, min_samples: int) -> np.ndarray:
    """The single-linkage tree [n - 1, 4] of the mutual reachability: two nodes, their distance, the size of both."""
    count = len(relation)
    edges = _spanning_edges(*_reachability(relation, min_samples), count)
    order = np.lexsort((edges[1], edges[0], edges[2]))
    return label(np.ascontiguousarray(edges[:, order].T))


class Clusters:
    """The clusters of `min_cluster_size` and more in a tree, among which one can choose."""

    def __init__(self, tree: np.ndarray, min_cluster_size: int) -> None:
        self._condensed = condense_tree(tree, min_cluster_size)
        self._stability = compute_stability(self._condensed)

    def chosen(self, method: str, single: bool) -> np.ndarray:
        """Labels [n] of the clusters that `method` (`eom` or `leaf`) chooses; -1 is noise."""
        # The library writes into the stabilities that it is given.
        labels, _, _ = get_clusters(self._condensed, dict(self._stability), method, single)
        return np.asarray(labels)


def _reachability(relation: Relation, min_samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges (a, b, distance) between neighbours, each once, and along tracks."""
    near, core = relation.neighbours, relation.neighbours.core(min_samples)
    a = np.repeat(np.arange(len(relation)), near.places.shape[1])
    b, apart = near.places.ravel(), near.differences.ravel()
    there = b >= 0
    a, b, apart = a[there], b[there], apart[there]
    weight = np.maximum(np.maximum(core[a], core[b]), apart)
    along = _along_tracks(relation.track)
    low = np.concatenate([np.minimum(a, b), along[:, 0]])
    high = np.concatenate([np.maximum(a, b), along[:, 1]])
    weight = np.concatenate([weight, np.zeros(len(along), np.float32)]).astype(np.float64) + _LEAST
    order = np.lexsort((weight, high, low))
    low, high, weight = low[order], high[order], weight[order]
    first = np.ones(len(low), bool)
    first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    return low[first], high[first], weight[first]


def _along_tracks(track: np.ndarray) -> np.ndarray:
    """[m, 2]: each crop with the next of its track."""
    order = np.argsort(track, kind="stable")
    together = track[order[1:]] == track[order[:-1]]
    return np.stack([order[:-1][together], order[1:][together]], axis=1)


def _spanning_edges(low: np.ndarray, high: np.ndarray, weight: np.ndarray, count: int) -> np.ndarray:
    """The minimum spanning tree's edges [3, n - 1]: a, b, distance; parts without a chain are joined last."""
    graph = coo_array((weight, (low, high)), shape=(count, count)).tocsr()
    _, part = connected_components(graph, directed=False)
    firsts = [int(np.argmax(part == each)) for each in range(int(part.max(initial=0)) + 1)]
    tree = minimum_spanning_tree(graph).tocoo()
    joins = np.array([(a, b, _UNRELATED) for a, b in pairwise(firsts)], dtype=np.float64).reshape(-1, 3)
    edges = np.stack([tree.row, tree.col, tree.data]).astype(np.float64)
    return np.concatenate([edges, joins.T], axis=1)
