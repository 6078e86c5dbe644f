"""CCIP consistency: which pictures of a web crawl show the character that most of them show.

Source: cleaning of the published process. There a cluster that holds most of the pictures is looked for every five
pictures, while they come; from then on a picture is kept when it matches enough of those kept so far. Here all pictures are
there, so that what most of them show is looked for first: a folder may begin with somebody else. With anchors, pictures
surely of the character, no cluster is needed. The same pictures in the same order give the same answer.
"""

from dataclasses import dataclass

import numpy as np

_FIRST, _STEP = 15, 5
"""Where no cluster holds most of all pictures, one is looked for in this many, and again after so many more."""


class NoCluster(ValueError):
    """No group of like pictures is large enough to say whom the pictures show."""


@dataclass(frozen=True)
class Shares:
    """How much agreement is asked for, 0..1."""

    cluster: float
    """Of the pictures seen so far that one cluster holds."""
    match: float
    """Of the kept pictures that another one matches."""


def consistent(same: np.ndarray, shares: Shares, anchors: int = 0) -> list[float | None]:
    """For each picture after the first `anchors` the share of the kept ones that it does not match enough of, or None when
    it is kept.

    `same` [n, n] bool says which pictures show the same character; it is symmetric. Raises NoCluster.
    """
    count = len(same)
    kept = list(range(anchors)) if anchors else _cluster(same, shares)
    aside: dict[int, float] = {}
    for place in range(anchors, count):
        if place in kept:
            continue
        share = float(same[place, kept].mean())
        if share >= shares.match:
            kept.append(place)
        else:
            aside[place] = share
    return [aside.get(place) for place in range(anchors, count)]


def _cluster(same: np.ndarray, shares: Shares) -> list[int]:
    """A cluster that is large enough, of all or else of the first: what is like the picture that is like most, and like
    enough of each other."""
    count = len(same)
    for seen in (count, *range(_FIRST, count, _STEP)):
        near = same[:seen, :seen]
        middle = int(near.sum(axis=1).argmax()) if seen else 0
        members = np.flatnonzero(near[middle]).tolist() if seen else []
        if members and len(members) >= shares.cluster * seen:
            return [member for member in members if near[member, members].mean() >= shares.match]
    raise NoCluster(f"no cluster holds {shares.cluster:.0%} of {count} pictures")
