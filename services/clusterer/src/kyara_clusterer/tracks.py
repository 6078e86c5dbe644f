"""What video knows of crops and pictures alone do not: a figure followed through a shot is one person, and two figures
in one frame are two."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kyara_artifacts import Box, Corners, Image, overlap

# Boxes of one frame that overlap more than this may be two boxes of one figure.
_ONE_FIGURE_IOU = 0.3
# A figure that moved on from one key frame to the next overlaps its old place by this at least.
_FOLLOWED_IOU = 0.45
_FOLLOWED_S = 1.6
# A closed eye or a turned head may take a crop a little beyond the model's threshold, but no further.
_FOLLOWED_DIFFERENCE = 1.5

Differences = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Of two equally long lists of places, one by one."""


def held_apart(crops: Sequence[Image]) -> np.ndarray:
    """Pairs of places [m, 2], a < b, of crops that show two figures of one frame."""
    pairs = [
        (a, b)
        for places in _frames(crops).values()
        for a, b in combinations(places, 2)
        if overlap(_box(crops[a]), _box(crops[b])) < _ONE_FIGURE_IOU and _heads_differ(crops[a], crops[b])
    ]
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def followed(crops: Sequence[Image], differences: Differences, threshold: float) -> np.ndarray:
    """Number of each crop's track [n]: crops of one shot, in frames soon after one another, at about one place, that the
    model does not clearly call different."""
    shots: dict[tuple[str, int], list[list[int]]] = {}
    for places in _frames(crops).values():
        first = crops[places[0]]
        if first.shot is not None and first.time_s is not None:
            shots.setdefault((first.source, first.shot), []).append(places)
    links: list[tuple[int, int]] = []
    for frames in shots.values():
        frames.sort(key=lambda places: crops[places[0]].time_s or 0.0)
        for before, after in pairwise(frames):
            if (crops[after[0]].time_s or 0.0) - (crops[before[0]].time_s or 0.0) <= _FOLLOWED_S:
                links += _links(crops, before, after)
    rows, columns = np.array(links, dtype=np.int64).reshape(-1, 2).T
    alike = differences(rows, columns) <= _FOLLOWED_DIFFERENCE * threshold
    graph = coo_array((np.ones(int(alike.sum()), np.int8), (rows[alike], columns[alike])), shape=(len(crops), len(crops)))
    return connected_components(graph, directed=False)[1]


def _links(crops: Sequence[Image], before: list[int], after: list[int]) -> Iterator[tuple[int, int]]:
    """Who of `before` may be who of `after`: the assignment of greatest overlap."""
    shared = [[overlap(_box(crops[a]), _box(crops[b])) for b in after] for a in before]
    alone = len(before) == len(after) == 1
    assigned = ((0, 0),) if alone else zip(*linear_sum_assignment(-np.array(shared)), strict=True)
    for row, column in assigned:
        if shared[row][column] >= _FOLLOWED_IOU:
            yield before[row], after[column]


def _frames(crops: Sequence[Image]) -> dict[tuple[str, str], list[int]]:
    """Places of the crops of each frame."""
    frames: dict[tuple[str, str], list[int]] = {}
    for place, crop in enumerate(crops):
        if crop.parent and crop.parent_box:
            frames.setdefault((crop.source, crop.parent), []).append(place)
    return frames


def _box(crop: Image) -> Corners:
    assert crop.parent_box
    return crop.parent_box


def _heads_differ(one: Image, other: Image) -> bool:
    """Whether two crops have heads at different places of their frame, as far as is known."""
    heads = [_head(one), _head(other)]
    return heads[0] is None or heads[1] is None or overlap(heads[0], heads[1]) < _ONE_FIGURE_IOU


def _head(crop: Image) -> Corners | None:
    """The crop's head, in px of the frame."""
    head = next((box for box in crop.boxes if box.kind == "head"), None)
    return None if head is None else _moved(head, _box(crop))


def _moved(box: Box, by: Corners) -> Corners:
    return box.x0 + by[0], box.y0 + by[1], box.x1 + by[0], box.y1 + by[1]
