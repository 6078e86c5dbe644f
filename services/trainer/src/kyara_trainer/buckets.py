"""Aspect-ratio buckets: pictures of like shape are trained at one size, so that little is cut off.

The ratios found in the dataset are clustered (k-means on log2(width / height)), and every bucket has about the
same area. Nothing is dropped: a bucket smaller than the batch gives a smaller batch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Bucket:
    """One training size, and which pictures are trained at it."""

    width: int
    height: int
    """In px, multiples of the bucket step."""
    members: tuple[int, ...]
    """Numbers of the pictures, in the dataset's order."""


def make_buckets(sizes: Sequence[tuple[int, int]], count: int, resolution: int, step: int) -> list[Bucket]:
    """Divide pictures of `sizes` (width, height) over at most `count` buckets of about `resolution` squared px.

    Buckets are ordered from the narrowest to the widest, and none is empty.
    """
    ratios = np.log2([width / height for width, height in sizes])
    centres = _k_means(ratios, count)
    nearest = np.abs(ratios[:, None] - centres[None, :]).argmin(axis=1)
    members: dict[tuple[int, int], list[int]] = {}
    for number, centre in enumerate(nearest):
        # Two centres may round to one size: they are one bucket then.
        members.setdefault(bucket_size(float(centres[centre]), resolution, step), []).append(number)
    by_shape = sorted(members.items(), key=lambda item: (item[0][0] / item[0][1], item[0]))
    return [Bucket(width, height, tuple(numbers)) for (width, height), numbers in by_shape]


def bucket_size(log_ratio: float, resolution: int, step: int) -> tuple[int, int]:
    """(width, height) in multiples of `step` whose area is near `resolution` squared."""
    stretch = 2 ** (log_ratio / 2)
    width = max(step, round(resolution * stretch / step) * step)
    height = max(step, round(resolution / stretch / step) * step)
    return width, height


def cover(size: tuple[int, int], target: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """How to bring a picture of `size` to `target` without bars: (size to scale it to, corner of the centred cut)."""
    scale = max(target[0] / size[0], target[1] / size[1])
    width = max(target[0], math.ceil(size[0] * scale - 1e-6))
    height = max(target[1], math.ceil(size[1] * scale - 1e-6))
    return (width, height), ((width - target[0]) // 2, (height - target[1]) // 2)


def _k_means(values: np.ndarray, count: int) -> np.ndarray:
    """Centres of at most `count` clusters of the numbers `values`, ascending.

    In one dimension the best clusters are runs of the sorted values, found by dynamic programming (Wang and Song
    2011, "Ckmeans.1d.dp"): there is no start to be lucky with, and the answer is always the same.
    """
    numbers, weights = np.unique(values, return_counts=True)
    total = np.concatenate([[0.0], np.cumsum(weights)])
    first = np.concatenate([[0.0], np.cumsum(weights * numbers)])
    second = np.concatenate([[0.0], np.cumsum(weights * numbers**2)])

    def spread(starts: np.ndarray, end: int) -> np.ndarray:
        """Sum of squared distances to the mean of numbers[start:end], for each start."""
        mass = total[end] - total[starts]
        return second[end] - second[starts] - (first[end] - first[starts]) ** 2 / mass

    size = len(numbers)
    best = np.full(size + 1, np.inf)
    best[0] = 0.0
    cuts: list[np.ndarray] = []
    for _ in range(min(count, size)):
        costs = [best[:end] + spread(np.arange(end), end) for end in range(1, size + 1)]
        cuts.append(np.array([0, *(int(cost.argmin()) for cost in costs)]))
        best = np.array([np.inf, *(cost.min() for cost in costs)])
    centres, end = [], size
    for cut in reversed(cuts):
        start = int(cut[end])
        centres.append((first[end] - first[start]) / (total[end] - total[start]))
        end = start
    return np.array(centres[::-1])
