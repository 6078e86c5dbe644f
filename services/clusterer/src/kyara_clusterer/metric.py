"""A CCIP model's metric as a function: cosine of two vectors in, difference out.

The model gives differences for all pairs of a stack, which for 100,000 crops would be ten thousand million. But what
it gives depends on the cosine alone, so it is asked once, for vectors at every angle, and looked up from then on.
"""

from dataclasses import dataclass

import numpy as np

from kyara_inference import Inference, differences

# With those that are checked, one request.
_ANGLES = 257
_CHECKED = 64
_TOLERANCE = 2e-3


class NoMetric(ValueError):
    """The model's differences do not follow from the cosine."""


@dataclass(frozen=True)
class Metric:
    """Differences, 0 same .. 1 different, by the cosine of two vectors."""

    cosines: np.ndarray
    """[m] float64, ascending."""
    values: np.ndarray
    """[m] float64: the difference at each of `cosines`."""
    threshold: float
    """Difference up to which two pictures show the same character."""

    def __call__(self, cosines: np.ndarray) -> np.ndarray:
        """Differences, float32, in the form of `cosines`."""
        return np.interp(cosines, self.cosines, self.values).astype(np.float32)

    @classmethod
    def of(cls, inference: Inference, model: str, threshold: float, vectors: np.ndarray) -> "Metric":
        """The metric of `model`, checked on some of `vectors` [n, d]. Raises NoMetric, InferenceError."""
        angles = np.linspace(np.pi, 0, _ANGLES)
        turned = np.zeros((_ANGLES, vectors.shape[1]), np.float32)
        turned[:, 0], turned[:, 1] = np.cos(angles), np.sin(angles)
        some = vectors[:: max(1, len(vectors) // _CHECKED)][:_CHECKED]
        unit = unit_vectors(some)
        said = differences(inference, model, np.concatenate([turned, some]))
        metric = cls(np.cos(angles), said[_ANGLES - 1, :_ANGLES].astype(np.float64), threshold)
        wrong = np.abs(metric(unit @ unit.T) - said[_ANGLES:, _ANGLES:])
        np.fill_diagonal(wrong, 0)
        if wrong.max(initial=0) > _TOLERANCE:
            raise NoMetric(f"the differences of {model} do not follow from the cosine: off by {wrong.max():.3f}")
        return metric


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """`vectors` [n, d] scaled to length 1, float32."""
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return (vectors / np.maximum(length, 1e-12)).astype(np.float32)
