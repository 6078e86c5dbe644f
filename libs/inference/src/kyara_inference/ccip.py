"""CCIP: whether two pictures show the same character, whatever the pose, outfit and drawing.

Vectors and differences are those of dghs-imgutils 0.19 on the same files (deepghs/ccip_onnx). Two pictures show the
same character when their difference is at most the model's threshold, `catalogue().ccip(model).threshold`.
"""

from collections.abc import Sequence

import numpy as np
import PIL.Image

from kyara_inference.catalogue import catalogue
from kyara_inference.client import Inference
from kyara_inference.normalising import normalised

FEATURES = 768
# 1024 vectors in one call: 3 MB in and 4 MB out.
TILE = 512


def embed(inference: Inference, model: str, images: Sequence[PIL.Image.Image]) -> np.ndarray:
    """Vectors of RGB `images`, each of one character: [n, 768] float32. Raises UnknownModel, InferenceError."""
    entry = catalogue().ccip(model)
    served = f"{model}-feat"
    stacks = inference.stacks(served, images, lambda image: _encode(image, entry.size), 3 * entry.size**2 * 4)
    found = inference.infer_each(served, ({"input": stack} for stack in stacks), "output")
    return np.concatenate([np.empty((0, FEATURES), np.float32), *found])


def differences(inference: Inference, model: str, features: np.ndarray) -> np.ndarray:
    """Difference of every pair among [n, 768] `features`: [n, n] float32, 0 same .. 1 different.

    Large stacks are asked for in tiles, so that no message grows with n squared.
    """
    catalogue().ccip(model)
    count = len(features)
    found = np.zeros((count, count), np.float32)
    starts = range(0, count, TILE)
    for row in starts:
        for column in starts[row // TILE :]:
            places = np.arange(row, min(row + TILE, count))
            if column != row:
                places = np.concatenate([places, np.arange(column, min(column + TILE, count))])
            stack = features[places].astype(np.float32)
            found[np.ix_(places, places)] = inference.infer(f"{model}-metrics", {"input": stack}, "output")
    return found


def _encode(image: PIL.Image.Image, size: int) -> np.ndarray:
    """[3, size, size] float32, normalised; squeezed without padding."""
    return normalised(image.convert("RGB").resize((size, size), PIL.Image.Resampling.BILINEAR))
