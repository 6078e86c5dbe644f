"""The nearest crops of each crop: exact for a season, approximate (and close to linear) beyond."""

from dataclasses import dataclass

import faiss
import numpy as np

from kyara_clusterer.metric import Metric

NEIGHBOURS = 64
EXACT = 20_000
"""Up to this many crops all pairs are looked at, which takes seconds."""
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


def nearest(unit: np.ndarray, metric: Metric) -> Neighbours:
    """The neighbours of `unit` vectors [n, d] float32."""
    count, width = unit.shape
    k = min(NEIGHBOURS, count - 1)
    index = _index(unit, count, width)
    cosines, places = index.search(unit, k + 1)
    # A crop is its own nearest, but not always first among equals.
    own = places == np.arange(count)[:, None]
    own[~own.any(axis=1), -1] = True
    places, cosines = places[~own].reshape(count, k), cosines[~own].reshape(count, k)
    return Neighbours(places, np.where(places >= 0, metric(cosines), np.inf).astype(np.float32))


def _index(unit: np.ndarray, count: int, width: int) -> "faiss.Index":
    flat = faiss.IndexFlatIP(width)
    if count <= EXACT:
        flat.add(unit)
        return flat
    lists = int(_LISTS_PER_ROOT * np.sqrt(count))
    index = faiss.IndexIVFFlat(flat, width, lists, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = _PROBES
    index.cp.seed = _SEED
    index.train(unit[:: max(1, count // (lists * _TRAINED_PER_LIST))])
    index.add(unit)
    return index
