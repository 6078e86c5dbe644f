"""What a picture looks like at a glance: whether it has colour, and whether another one is nearly the same."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image

# A pixel has colour when its channels are further apart than this; JPEG's and H.264's chroma noise stays below.
_COLOURED = 25
_COLOURED_SHARE = 0.02
_GRID = 16
# Steps of brightness below this are codec noise on flat areas.
_STEP = 3.0
_COLOUR_GRID = 4
# Mean difference of a cell's colour, 0..1, above which it shows something else: other hair, another dress.
_COLOUR_LIMIT = 0.08
_ASPECT_LIMIT = 0.2


def is_monochrome(picture: PIL.Image.Image) -> bool:
    """Whether an RGB picture is black and white, but for a few px."""
    small = np.asarray(picture.resize((64, 64), PIL.Image.Resampling.BOX), dtype=np.int16)
    spread = small.max(axis=2) - small.min(axis=2)
    return float((spread > _COLOURED).mean()) < _COLOURED_SHARE


@dataclass(frozen=True)
class Print:
    """A picture's perceptual hash (difference hash, 16x16 in both directions), its colours, and its form."""

    bits: np.ndarray
    """[8] uint64."""
    colours: np.ndarray
    """[4, 4, 3] float32, 0..1."""
    log_aspect: float


def print_of(picture: PIL.Image.Image) -> Print:
    """The print of an RGB picture, whatever its size."""
    side = _GRID + 1
    grey = np.asarray(picture.convert("L").resize((side, side), PIL.Image.Resampling.BOX), dtype=np.float32)
    right = np.diff(grey, axis=1)[:_GRID] > _STEP
    down = np.diff(grey, axis=0)[:, :_GRID] > _STEP
    bits = np.packbits(np.concatenate([right.ravel(), down.ravel()])).view(np.uint64)
    cells = picture.resize((_COLOUR_GRID, _COLOUR_GRID), PIL.Image.Resampling.BOX)
    colours = np.asarray(cells, dtype=np.float32) / 255
    return Print(bits, colours, math.log(picture.width / picture.height))


def first_seen(prints: Sequence[Print], limit: float) -> list[int]:
    """For each print the place of the earlier one that it nearly repeats, or its own place.

    Nearly: at most `limit` (0..1) of the hash's bits differ, no part of the picture has another colour (two
    characters drawn in one pose share a hash), and the form is alike. Repeats of repeats do not chain.
    """
    kept: list[int] = []
    bits = np.empty((len(prints), prints[0].bits.size if prints else 0), np.uint64)
    colours = np.empty((len(prints), _COLOUR_GRID, _COLOUR_GRID, 3), np.float32)
    aspects = np.empty(len(prints), np.float32)
    places: list[int] = []
    for place, each in enumerate(prints):
        count = len(kept)
        distance = np.bitwise_count(bits[:count] ^ each.bits).sum(axis=1) / (each.bits.size * 64)
        colour = np.abs(colours[:count] - each.colours).mean(axis=3).max(axis=(1, 2))
        aspect = np.abs(aspects[:count] - each.log_aspect)
        near = (distance <= limit) & (colour <= _COLOUR_LIMIT) & (aspect <= _ASPECT_LIMIT)
        if near.any():
            places.append(kept[int(near.argmax())])
            continue
        bits[count], colours[count], aspects[count] = each.bits, each.colours, each.log_aspect
        kept.append(place)
        places.append(place)
    return places
