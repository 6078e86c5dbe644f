"""After HDBSCAN: noise that clearly belongs to a cluster joins it, and clusters of one character become one.

Source: "Video to dataset" of the v1.4 process, with its two shares of 'same' pairs.
"""

from dataclasses import dataclass

import numpy as np

_NOISE = -1


@dataclass(frozen=True)
class Refined:
    """Labels, numbered from 0 without gaps, -1 noise, and how many crops and clusters were joined."""

    labels: np.ndarray
    reattached: int
    merged: int


def refine(labels: np.ndarray, same: np.ndarray, reattach_share: float, merge_share: float) -> Refined:
    """Reattach, then merge, the likest clusters first.

    `labels` [n] int with -1 for noise; `same` [n, n] bool. A noise crop joins the cluster that it is 'same' with most
    when that is at least `reattach_share` of the members; two clusters become one when at least `merge_share` of
    their cross pairs are 'same'.
    """
    clusters = [cluster for cluster in np.unique(labels) if cluster != _NOISE]
    if not clusters:
        return Refined(labels.copy(), 0, 0)
    members = np.stack([labels == cluster for cluster in clusters])
    reattached = _reattach(members, same, reattach_share)
    members, merged = _merge(members, same, merge_share)
    numbers = np.where(members.any(axis=0), members.argmax(axis=0), _NOISE)
    return Refined(numbers, reattached, merged)


def _reattach(members: np.ndarray, same: np.ndarray, least: float) -> int:
    """Fill `members` [clusters, n] bool in place; each noise crop is judged by the clusters as they were."""
    noise = np.flatnonzero(~members.any(axis=0))
    shares = (same[noise].astype(np.float64) @ members.T) / members.sum(axis=1)
    joins = shares.max(axis=1) >= least
    members[shares.argmax(axis=1)[joins], noise[joins]] = True
    return int(joins.sum())


def _merge(members: np.ndarray, same: np.ndarray, least: float) -> tuple[np.ndarray, int]:
    """`members` with clusters joined, and how often."""
    before = len(members)
    pairs = members.astype(np.float64) @ same @ members.T
    while len(members) > 1:
        sizes = members.sum(axis=1)
        shares = np.triu(pairs / np.outer(sizes, sizes), 1)
        a, b = np.unravel_index(shares.argmax(), shares.shape)
        if shares[a, b] < least:
            break
        members[a] |= members[b]
        pairs[a] += pairs[b]
        pairs[:, a] += pairs[:, b]
        rest = np.arange(len(members)) != b
        members, pairs = members[rest], pairs[np.ix_(rest, rest)]
    return members, before - len(members)
