"""What one character wears from crop to crop: groups by the colours of the clothes."""

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import silhouette_score

from kyara_artifacts import Image

_MOST_OUTFITS = 8
# Silhouette (Rousseeuw 1987) from which groups are outfits, and not light and pose within one.
_APART = 0.5
_FEWEST = 3
"""Crops that make an outfit: fewer are a wrong box or something held before the body."""
_SAMPLE = 1500


def outfits_of(crops: Sequence[Image], clothes: np.ndarray, track: np.ndarray) -> np.ndarray:
    """[n] int: the outfit of each of a character's crops, the one seen most is 0.

    `clothes` [n, c] of length 1, or 0 where they are not seen; `track` [n]. The number of outfits is the one whose groups
    are furthest apart. A track wears one outfit, and who is not seen to wear any wears what was worn nearest in time.
    """
    known = np.flatnonzero(clothes.any(axis=1))
    outfits = np.full(len(crops), -1)
    if len(known):
        outfits[known] = _grouped(clothes[known])
        _vote(outfits, track)
    _carry_over(outfits, crops)
    return _by_size(outfits)


def _grouped(clothes: np.ndarray) -> np.ndarray:
    """Groups of `clothes` [n, c]; large sets by a sample, the rest by the nearest group's mean."""
    sample = np.arange(min(len(clothes), _SAMPLE)) * len(clothes) // min(len(clothes), _SAMPLE)
    labels = _best_cut(clothes[sample])
    means = np.stack([clothes[sample][labels == group].mean(axis=0) for group in range(labels.max() + 1)])
    return np.argmax(clothes @ means.T / np.linalg.norm(means, axis=1), axis=1)


def _best_cut(clothes: np.ndarray) -> np.ndarray:
    """The cut of the average-linkage tree with the greatest silhouette, numbered from 0; one group when none is clear."""
    best, labels = _APART, np.zeros(len(clothes), np.int64)
    if len(clothes) <= 2 * _FEWEST:
        return labels
    distances = pdist(clothes, "cosine")
    tree, square = linkage(distances, "average"), squareform(distances)
    for count in range(2, _MOST_OUTFITS + 1):
        cut = _without_small(fcluster(tree, count, "maxclust") - 1, square)
        if len(np.unique(cut)) > 1 and (score := float(silhouette_score(square, cut, metric="precomputed"))) > best + 1e-9:
            best, labels = score, np.unique(cut, return_inverse=True)[1]
    return labels


def _without_small(labels: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Members of groups smaller than _FEWEST go to the group that is nearest on average; all are one where none is larger."""
    sizes = np.bincount(labels)
    large = np.flatnonzero(sizes >= _FEWEST)
    if not len(large):
        return np.zeros_like(labels)
    if len(large) == len(sizes):
        return labels
    to_groups = np.stack([distances[:, labels == group].mean(axis=1) for group in large], axis=1)
    return np.where(sizes[labels] >= _FEWEST, labels, large[to_groups.argmin(axis=1)])


def _vote(outfits: np.ndarray, track: np.ndarray) -> None:
    """Give each track the outfit that most of it is seen to wear; changes `outfits`."""
    for each in np.unique(track):
        places = np.flatnonzero(track == each)
        seen = outfits[places][outfits[places] >= 0]
        if len(seen):
            outfits[places] = np.bincount(seen).argmax()


def _carry_over(outfits: np.ndarray, crops: Sequence[Image]) -> None:
    """Fill in what is not known (-1) from the same video, nearest in time, else with the first outfit; changes `outfits`."""
    known = [place for place in range(len(crops)) if outfits[place] >= 0]
    for place in np.flatnonzero(outfits < 0).tolist():
        same = [other for other in known if crops[other].source == crops[place].source]
        nearest = min(same, key=lambda other: abs((crops[other].time_s or 0) - (crops[place].time_s or 0)), default=None)
        outfits[place] = 0 if nearest is None else outfits[nearest]


def _by_size(outfits: np.ndarray) -> np.ndarray:
    names, numbers, counts = np.unique(outfits, return_inverse=True, return_counts=True)
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(names))
    return rank[numbers]
