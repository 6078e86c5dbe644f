"""Cosines of crops' vectors: all of them while they fit in memory, otherwise those that are asked for."""

from dataclasses import dataclass

import numpy as np
from threadpoolctl import ThreadpoolController

from kyara_clusterer.metric import unit_vectors

_TABLE = 4096
"""Up to this many crops, a few episodes, all cosines are kept: 64 MB at most."""

one_thread = ThreadpoolController().wrap(limits=1, user_api="blas")
"""For a function of many small products: BLAS's threads would wait for each other longer than they work."""


@dataclass(frozen=True)
class Cosines:
    """The cosines among n vectors."""

    unit: np.ndarray
    """[n, d] float32, of length 1."""
    table: np.ndarray | None
    """[n, n] float32, when n is small."""

    @classmethod
    def of(cls, vectors: np.ndarray) -> "Cosines":
        """The cosines of `vectors` [n, d]."""
        unit = unit_vectors(vectors)
        return cls(unit, unit @ unit.T if len(unit) <= _TABLE else None)

    def __len__(self) -> int:
        return len(self.unit)

    def between(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """[a, b] of all pairs of two lists of places."""
        if self.table is None:
            return self.unit[some] @ self.unit[others].T
        return self.table.ravel().take(some[:, None] * len(self) + others)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """[stop - start, n]: of some places in a row to all."""
        return self.unit[start:stop] @ self.unit.T if self.table is None else self.table[start:stop]
