"""The colours that a figure wears, as a vector: what CCIP leaves out on purpose, and outfits are told apart by.

A histogram over luma and chroma of the torso, the part of the half body below the head, with every pixel shared among
the bins around it. The vector is the root of the shares, so that the dot product of two is their Bhattacharyya
coefficient (Bhattacharyya 1943): 1 for the same colours in the same shares, 0 for none in common.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import PIL.Image

from kyara_artifacts import Box

# Luma, blue and red chroma: lowest and highest centre of the bins, and how many there are. Drawn chroma is seldom outside.
_BINS = ((32.0, 224.0, 5), (64.0, 192.0, 9), (64.0, 192.0, 9))
CLOTHES = 5 * 9 * 9
_SIDE = 48
# The middle of the half body: arms and background are beside it.
_INSET = 0.2
# A torso of which less is seen, as a share of the head's height, is a collar.
_LEAST = 0.3


def clothes(picture: PIL.Image.Image, boxes: Sequence[Box]) -> np.ndarray:
    """[CLOTHES] float32 of length 1 for an RGB crop with its boxes; all 0 when no torso is seen."""
    torso = _torso(picture, boxes)
    if torso is None:
        return np.zeros(CLOTHES, np.float32)
    small = picture.resize((_SIDE, _SIDE), PIL.Image.Resampling.BOX, box=torso).convert("YCbCr")
    return np.sqrt(_histogram(np.asarray(small, dtype=np.float32).reshape(-1, 3)))


def _torso(picture: PIL.Image.Image, boxes: Sequence[Box]) -> tuple[float, float, float, float] | None:
    head = _largest(boxes, "head")
    if head is None:
        return None
    body = _largest(boxes, "halfbody") or Box(kind="person", x0=0, y0=0, x1=picture.width, y1=picture.height, score=1)
    inset = _INSET * (body.x1 - body.x0)
    left, right = max(0.0, body.x0 + inset), min(float(picture.width), body.x1 - inset)
    top, bottom = max(0.0, head.y1), min(float(picture.height), body.y1)
    if bottom - top < _LEAST * (head.y1 - head.y0) or right - left < 1:
        return None
    return left, top, right, bottom


def _largest(boxes: Sequence[Box], kind: str) -> Box | None:
    found = [box for box in boxes if box.kind == kind]
    return max(found, key=lambda box: (box.x1 - box.x0) * (box.y1 - box.y0), default=None)


def _histogram(pixels: np.ndarray) -> np.ndarray:
    """Shares [CLOTHES] of the bins in pixels [n, 3], each shared among its 8 nearest bins by how near they are."""
    counts = np.array([count for _, _, count in _BINS])
    low, high = np.array([low for low, _, _ in _BINS]), np.array([high for _, high, _ in _BINS])
    place = ((pixels - low) / (high - low)).clip(0, 1) * (counts - 1)
    first = np.minimum(place.astype(np.int64), counts - 2)
    rest = place - first
    shares = np.zeros(CLOTHES)
    for corner in product((0, 1), repeat=3):
        at = first + corner
        weight = np.where(corner, rest, 1 - rest).prod(axis=1)
        shares += np.bincount((at[:, 0] * counts[1] + at[:, 1]) * counts[2] + at[:, 2], weight, CLOTHES)
    return (shares / len(pixels)).astype(np.float32)
