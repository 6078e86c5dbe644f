"""After HDBSCAN: what the video knows is put right, noise that clearly belongs joins, clusters of one character become one.

Source: "Video to dataset" of the v1.4 process, with its two shares of 'same' pairs. Past it go the tracks, the pairs
that are held apart, and the clusters' own closeness: two look-alikes are 'same' nearly as often as one character is
with itself, so two clusters become one only where their cross pairs are as alike as their own.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from kyara_clusterer.cosines import one_thread
from kyara_clusterer.metric import unit_vectors
from kyara_clusterer.relation import Relation
from kyara_clusterer.search import NOISE

_SHOWN = 48
"""Members that stand for a cluster."""
_NEAREST_CLUSTERS = 6
_CLASHES_WITHIN, _SPLIT_SHARE, _ROUNDS = 3, 0.6, 20
"""Pairs held apart from which a cluster may be two characters, and the share of them that must then lie across."""
_ALIKE = 0.95
"""How nearly as often 'same' two clusters must be across as within, to be one."""
CLASHES = 2
"""Frames that show both of two clusters, from which they are two characters: one may be a wrong box."""


@dataclass(frozen=True)
class Refined:
    """Labels, numbered from 0 without gaps, -1 noise, and how many crops and clusters were changed."""

    labels: np.ndarray
    followed: int
    split: int
    parted: int
    reattached: int
    merged: int


@one_thread
def refine(labels: np.ndarray, relation: Relation, smallest: int, reattach_share: float, merge_share: float) -> Refined:
    """Labels [n] int with -1 for noise, put right.

    A track goes as a whole to the cluster that most of it is in. A cluster that several frames show two of is two, when
    both have `smallest` crops. Of two figures of one frame in one cluster, the one that fits less leaves. A noise crop
    joins the cluster that it is 'same' with most when that is at least `reattach_share` of the members; two clusters
    become one when at least `merge_share` of their cross pairs are 'same', the likest first.
    """
    labels = labels.copy()
    followed = _follow(labels, relation.track)
    split = _split(labels, relation, smallest)
    parted = _part(labels, relation)
    reattached = _reattach(labels, relation, reattach_share)
    merged = _merge(labels, relation, merge_share)
    numbers = np.unique(labels, return_inverse=True)[1] - int((labels == NOISE).any())
    return Refined(numbers, followed, split, parted, reattached, merged)


def members_of(labels: np.ndarray) -> dict[int, np.ndarray]:
    """Places of each cluster's crops, by label."""
    order = np.argsort(labels, kind="stable")
    bounds = np.flatnonzero(np.diff(labels[order])) + 1
    return {int(labels[group[0]]): group for group in np.split(order, bounds) if len(group) and labels[group[0]] != NOISE}


def shown(members: np.ndarray) -> np.ndarray:
    """Some members, from all over, that stand for all."""
    count = min(len(members), _SHOWN)
    return members[np.arange(count) * len(members) // count]


def _follow(labels: np.ndarray, track: np.ndarray) -> int:
    """Give each track [n] the label [n] that most of it has, where one has; changes `labels`, tells how many."""
    seen = np.flatnonzero(labels != NOISE)
    width = int(labels.max(initial=0)) + 1
    voted, votes = np.unique(track[seen] * width + labels[seen], return_counts=True)
    of, choice = np.divmod(voted, width)
    most = 2 * votes > np.bincount(of, votes, minlength=1)[of]
    winner = np.full(int(track.max()) + 1, NOISE)
    winner[of[most]] = choice[most]
    after = np.where(winner[track] == NOISE, labels, winner[track])
    changed = int((labels != after).sum())
    labels[:] = after
    return changed


def _split(labels: np.ndarray, relation: Relation, smallest: int) -> int:
    """Make two of each cluster that pairs held apart fall into; changes `labels`, tells how often."""
    a, b = relation.apart.T
    inside = (labels[a] != NOISE) & (labels[a] == labels[b])
    found = 0
    for label in np.unique(labels[a[inside]]).tolist():
        pairs = relation.apart[inside & (labels[a] == label)]
        members = np.flatnonzero(labels == label)
        if len(pairs) >= _CLASHES_WITHIN:
            other = two_sides(relation, members, pairs)
            if min(other.sum(), (~other).sum()) >= smallest and _across(members[other], pairs) >= _SPLIT_SHARE:
                labels[members[other]] = labels.max() + 1
                _follow(labels, relation.track)
                found += 1
    return found


def two_sides(relation: Relation, members: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """[m] bool: which of `members` are nearer to the second of two centres.

    Two look-alikes differ less than one of them does from pose to pose, so the centres are not looked for anywhere: two-means
    begins where the `pairs` held apart, each with all of its tracks, differ along one direction.
    """
    unit = relation.unit[members]
    one, two = (_of_tracks(relation, members, side) for side in pairs.T)
    along = (one - two) @ np.linalg.svd(one - two, full_matrices=False)[2][0]
    direction = ((one - two) * np.where(along * along[0] < 0, -1, 1)[:, None]).mean(axis=0)
    other = unit @ direction < ((one + two) / 2 @ direction).mean()
    for _ in range(_ROUNDS):
        if other.all() or not other.any():
            break
        first, second = unit_vectors(np.stack([unit[~other].mean(axis=0), unit[other].mean(axis=0)]))
        before, other = other, unit @ second > unit @ first
        if (before == other).all():
            break
    return other


def _of_tracks(relation: Relation, members: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[p, d], of length 1: the mean of those members that are of each place's track."""
    tracks = relation.track[members]
    return unit_vectors(np.stack([relation.unit[members[tracks == relation.track[place]]].mean(axis=0) for place in places]))


def _across(other: np.ndarray, pairs: np.ndarray) -> float:
    """Share of `pairs` with one crop among `other` and one not."""
    sides = np.isin(pairs, other)
    return float((sides[:, 0] != sides[:, 1]).mean())


def _part(labels: np.ndarray, relation: Relation) -> int:
    """Of each pair held apart in one cluster the one that fits less becomes noise; changes `labels`, tells how many."""
    groups = members_of(labels)
    parted = 0
    for a, b in relation.apart.tolist():
        if labels[a] != NOISE and labels[a] == labels[b]:
            apart = relation.differences(np.array([a, b]), shown(groups[int(labels[a])])).mean(axis=1)
            labels[a if apart[0] > apart[1] else b] = NOISE
            parted += 1
    return parted


def _reattach(labels: np.ndarray, relation: Relation, least: float) -> int:
    """Each noise crop is judged by the clusters as they were; changes `labels`, tells how many."""
    groups = members_of(labels)
    before = labels.copy()
    joined = 0
    for place in np.flatnonzero(before == NOISE).tolist():
        rivals = {int(before[rival]) for rival in relation.rivals.get(place, ())}
        near = before[relation.neighbours.places[place]]
        candidates = [label for label, _ in Counter(near.tolist()).most_common(_NEAREST_CLUSTERS) if label != NOISE]
        shares = {label: _same(relation, np.array([place]), groups[label]) for label in candidates if label not in rivals}
        if shares and max(shares.values()) >= least:
            labels[place] = max(shares, key=lambda label: shares[label])
            joined += 1
    return joined


def _merge(labels: np.ndarray, relation: Relation, least: float) -> int:
    """Join the likest pair of clusters as long as one is like enough; changes `labels`, tells how often."""
    groups = members_of(labels)
    clashes = _clashes(labels, relation)
    shares = {pair: _same(relation, shown(groups[pair[0]]), groups[pair[1]]) for pair in _close_pairs(groups, relation)}
    merged = 0
    while shares:
        pair = max(shares, key=lambda each: (shares[each], -each[0], -each[1]))
        if shares[pair] < least:
            break
        share = shares.pop(pair)
        keep, gone = pair
        if clashes[pair] >= CLASHES or not _as_close(relation, groups[keep], groups[gone], share):
            continue
        labels[groups[gone]] = keep
        groups[keep] = np.sort(np.concatenate([groups[keep], groups.pop(gone)]))
        others = {each for known in shares if gone in known or keep in known for each in known} - {keep, gone}
        shares = {known: value for known, value in shares.items() if not {keep, gone} & set(known)}
        for other in others:
            two = (min(keep, other), max(keep, other))
            shares[two] = _same(relation, shown(groups[two[0]]), groups[two[1]])
        clashes = _clashes(labels, relation)
        merged += 1
    return merged


def _same(relation: Relation, places: np.ndarray, members: np.ndarray) -> float:
    """Share of 'same' among the pairs of `places` and a cluster's members."""
    return float((relation.differences(places, shown(members)) <= relation.metric.threshold).mean())


def _as_close(relation: Relation, one: np.ndarray, other: np.ndarray, cross: float) -> bool:
    """Whether two clusters are as often 'same' across as the looser of them is within."""
    within = min(_same_within(relation, shown(each)) for each in (one, other))
    return cross >= _ALIKE * within


def _same_within(relation: Relation, members: np.ndarray) -> float:
    same = relation.differences(members, members) <= relation.metric.threshold
    count = len(members)
    return float((same.sum() - count) / max(1, count * (count - 1)))


def _clashes(labels: np.ndarray, relation: Relation) -> Counter[tuple[int, int]]:
    """How many pairs that are held apart lie across each two clusters."""
    a, b = labels[relation.apart[:, 0]], labels[relation.apart[:, 1]]
    there = (a != NOISE) & (b != NOISE) & (a != b)
    pairs = np.stack([np.minimum(a, b), np.maximum(a, b)], axis=1)[there]
    return Counter((int(low), int(high)) for low, high in pairs.tolist())


def _close_pairs(groups: dict[int, np.ndarray], relation: Relation) -> list[tuple[int, int]]:
    """Each cluster with those whose centres are nearest."""
    names = sorted(groups)
    if len(names) < 2:
        return []
    centres = np.stack([relation.unit[groups[name]].mean(axis=0) for name in names])
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    pairs: set[tuple[int, int]] = set()
    for row, name in enumerate(names):
        cosines = centres @ centres[row]
        cosines[row] = -np.inf
        for other in np.argsort(-cosines, kind="stable")[: min(_NEAREST_CLUSTERS, len(names) - 1)].tolist():
            pairs.add((min(name, names[other]), max(name, names[other])))
    return sorted(pairs)
