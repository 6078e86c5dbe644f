"""HDBSCAN's hierarchy over nearest neighbours alone, and the clusters that it offers.

Source: Campello, Moulavi and Sander 2013, as the hdbscan library does it; the minimum spanning tree of the mutual
reachability is taken over the graph of neighbours in place of all pairs, which is what grows with n squared.
"""

from dataclasses import dataclass

import numpy as np
from hdbscan._hdbscan_linkage import label
from scipy.sparse import csr_array, triu
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from kyara_clusterer.neighbours import Neighbours

# Crops that no chain of neighbours joins are further apart than any difference.
_UNRELATED = 2.0
# Marks an edge along a track, whose weight is the least.
_ALONG = 4.0
# scipy takes an edge of weight 0 for none.
_LEAST = 1e-6


class Graph:
    """Crops with their neighbours and with the next of their track; one graph for all trees."""

    def __init__(self, neighbours: Neighbours, track: np.ndarray) -> None:
        self._neighbours = neighbours
        self._edges = _edges(neighbours, track)
        self._low = np.repeat(np.arange(len(track)), np.diff(self._edges.indptr))
        self._joins = _joins(self._edges)

    def tree(self, min_samples: int) -> np.ndarray:
        """The single-linkage tree [n - 1, 4] of the mutual reachability: two nodes, their distance, the size of both."""
        core = self._neighbours.core(min_samples).astype(np.float64) + _LEAST
        apart, high = self._edges.data, self._edges.indices
        weight = np.maximum(np.maximum(core[self._low], core[high]), apart)
        weight[apart == _ALONG] = _LEAST
        graph = csr_array((weight, high, self._edges.indptr), shape=self._edges.shape)
        spanning = minimum_spanning_tree(graph, overwrite=True).tocoo()
        edges = np.stack([spanning.row, spanning.col, spanning.data]).astype(np.float64)
        edges = np.concatenate([edges, self._joins], axis=1)
        order = np.lexsort((edges[1], edges[0], edges[2]))
        return label(np.ascontiguousarray(edges[:, order].T))


@dataclass(frozen=True)
class Offer:
    """The m clusters that a tree offers, those within others before these; the last one is everything."""

    order: np.ndarray
    """[n] int: crops in an order in which each cluster's stand in a row."""
    start: np.ndarray
    """[m] int: where in `order` a cluster begins."""
    size: np.ndarray
    """[m] int."""
    parent: np.ndarray
    """[m] int: the smallest cluster that a cluster is within; the last one's is itself."""
    of: np.ndarray
    """[n] int: the smallest cluster that a crop is in."""


def offered(tree: np.ndarray, smallest: int) -> Offer:
    """The two sides of each fork of `tree` that both have `smallest` crops, and the whole."""
    count = len(tree) + 1
    nodes, root = 2 * count - 1, 2 * count - 2
    left, right = tree[:, 0].astype(np.int64), tree[:, 1].astype(np.int64)
    size = np.concatenate([np.ones(count, np.int64), tree[:, 3].astype(np.int64)])
    parent = np.full(nodes, root)
    parent[left] = parent[right] = np.arange(count, nodes)
    fork = (size[left] >= smallest) & (size[right] >= smallest)
    stays = np.zeros(nodes, bool)
    stays[left[fork]] = stays[right[fork]] = stays[root] = True
    before = np.zeros(nodes, np.int64)
    before[right] = size[left]
    clusters = np.flatnonzero(stays)
    number = np.full(nodes, -1)
    number[clusters] = np.arange(len(clusters))
    within = number[_first_above(parent, stays)]
    start = _summed_above(parent, before)
    return Offer(np.argsort(start[:count]), start[clusters], size[clusters], within[parent[clusters]], within[:count])


def _first_above(parent: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """For each node the first `wanted` one on its way to the root, itself included."""
    found = np.where(wanted, np.arange(len(parent)), parent)
    while not wanted[found].all():
        found = found[found]
    return found


def _summed_above(parent: np.ndarray, value: np.ndarray) -> np.ndarray:
    """For each node the sum of `value` on its way to the root, whose own is 0."""
    root = len(parent) - 1
    total, above = value, parent
    while (above != root).any():
        total, above = total + total[above], above[above]
    return total


def _edges(neighbours: Neighbours, track: np.ndarray) -> csr_array:
    """Differences of neighbours, above the diagonal, each pair once; _ALONG where one is the next of the other's track."""
    count, k = neighbours.places.shape
    there = neighbours.places.ravel() >= 0
    a, b = np.repeat(np.arange(count), k)[there], neighbours.places.ravel()[there]
    near = csr_array((neighbours.differences.ravel()[there].astype(np.float64) + _LEAST, (a, b)), shape=(count, count))
    order = np.argsort(track, kind="stable")
    together = track[order[1:]] == track[order[:-1]]
    a, b = order[:-1][together], order[1:][together]
    along = csr_array((np.full(len(a), _ALONG), (a, b)), shape=(count, count))
    # A stable order has a < b along a track.
    return csr_array(triu(near.maximum(near.T.tocsr()), 1).tocsr().maximum(along))


def _joins(edges: csr_array) -> np.ndarray:
    """Edges [3, m]: a, b, distance, between parts of the graph that no chain joins."""
    _, part = connected_components(edges, directed=False)
    firsts = np.sort(np.unique(part, return_index=True)[1])
    return np.stack([firsts[:-1], firsts[1:], np.full(len(firsts) - 1, _UNRELATED)]).astype(np.float64)
