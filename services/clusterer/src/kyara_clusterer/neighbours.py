"""The nearest crops of each crop: exact for a season, approximate (and close to linear) beyond."""

from dataclasses import dataclass

import faiss
import numpy as np

from kyara_clusterer.cosines import Cosines
from kyara_clusterer.metric import Metric

NEIGHBOURS = 32
EXACT = 20_000
"""Up to this many crops all pairs are looked at, which takes seconds."""
_ROWS = 256
"""Crops that are compared with all others at a time."""
# Lists grow with the square root of the crops, and a fixed number of them is looked through for each.
_LISTS_PER_ROOT = 4
_PROBES = 32
_TRAINED_PER_LIST = 40
_SEED = 7


@dataclass(frozen=True)
class Neighbours:
    """For each of n crops the k nearest others, nearest first."""

    places: np.ndarray
    """[n, k] int64; -1 where there are fewer."""
    differences: np.ndarray
    """[n, k] float32; infinite where there are fewer."""

    def core(self, samples: int) -> np.ndarray:
        """HDBSCAN's core distance [n]: the difference to the `samples`-th nearest."""
        return self.differences[:, min(samples, self.places.shape[1]) - 1]


def nearest(cosines: Cosines, metric: Metric) -> Neighbours:
    """The neighbours of each crop."""
    count = len(cosines)
    k = min(NEIGHBOURS, count - 1)
    places, found = _exact(cosines, k) if count <= EXACT else _approximate(cosines.unit, k)
    return Neighbours(places, np.where(places >= 0, metric(found), np.inf).astype(np.float32))


def _exact(cosines: Cosines, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and cosines [n, k], of equals the first; all pairs are looked at."""
    count = len(cosines)
    places, found = np.empty((count, k), np.int64), np.empty((count, k), np.float32)
    for start in range(0, count, _ROWS):
        stop = min(start + _ROWS, count)
        away = -cosines.rows(start, stop)
        away[np.arange(stop - start), np.arange(start, stop)] = np.inf
        near = np.sort(np.argpartition(away, k - 1, axis=1)[:, :k], axis=1)
        away = np.take_along_axis(away, near, axis=1)
        order = np.argsort(away, axis=1, kind="stable")
        places[start:stop] = np.take_along_axis(near, order, axis=1)
        found[start:stop] = -np.take_along_axis(away, order, axis=1)
    return places, found


def _approximate(unit: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and cosines [n, k], -1 where fewer were found; the lists of vectors nearest to a crop's own are looked at."""
    count, width = unit.shape
    lists = int(_LISTS_PER_ROOT * np.sqrt(count))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, lists, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = _PROBES
    index.cp.seed = _SEED
    index.train(unit[:: max(1, count // (lists * _TRAINED_PER_LIST))])
    index.add(unit)
    found, places = index.search(unit, k + 1)
    # A crop is its own nearest, but not always first among equals.
    own = places == np.arange(count)[:, None]
    own[~own.any(axis=1), -1] = True
    return places[~own].reshape(count, k), found[~own].reshape(count, k)
