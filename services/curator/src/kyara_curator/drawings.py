"""Whether two crops show one drawing: a figure held through a shot, moved over its background, or shown again later.

Boxes jitter and backgrounds pan, so crops of one drawing can differ more than crops of two. Here figures are laid over one
another by their heads, at one scale for both, moved until they fit best, and what still differs is looked at: the whole
figure coarsely, where another pose shows, and the face finely, where another mood does. A pixel differs when no pixel
beside it is alike, so that lines may lie between pixels. A codec's traces lie scattered, and another mouth lies in one
place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import PIL.Image
from numpy.lib.stride_tricks import sliding_window_view

from kyara_artifacts import Box
from kyara_curator.geometry import best_of


@dataclass(frozen=True)
class _Canvas:
    """Where figures, or faces, are laid over one another."""

    side: int
    """Px of a head, or of a face."""
    width: int
    height: int
    middle: int
    """Where the centre of the head, or of the face, lies from the top; it is in the middle from the left."""
    room: int
    """Px that one is moved over the other, in all directions."""
    kept: int
    """Px of a side that are kept of a larger one: enough to lay it out at a scale that also fits another box."""
    spot: int
    """Side of the squares of which the worst is looked at."""
    differs: tuple[float, float]
    """Shares of differing pixels up to which it is one drawing, in all and in the worst spot (`make accuracy-video`)."""


_FIGURE = _Canvas(side=16, width=64, height=80, middle=20, room=3, kept=24, spot=5, differs=(0.1, 0.4))
_FACE = _Canvas(side=64, width=82, height=82, middle=41, room=9, kept=100, spot=7, differs=(0.02, 0.5))
_ALIKE = 18
_SECOND = slice(None, None, 2)
# What cannot be one drawing without a closer look: heads of another size, other tones in the coarse figure.
_OTHER_SIZE, _OTHER_TONE, _OTHER_COLOUR = 0.25, 16.0, 12.0
# What differs coarsely by this share above the limit is not looked at finely.
_FAR = 0.1
# Scales at which parts are laid out are this far apart, so that a part is laid out once for many others.
_LEVEL = 0.02
_LAYERS_KEPT = 2048
_FEWEST, _SEEN_OF_64 = 120, 45
# The tones that lie on the head.
_HEAD = slice(1, 4), slice(3, 5)


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a crop with a head or a face in it, told from others by being it."""

    picture: PIL.Image.Image
    """The part, shrunk when it is large."""
    centre: tuple[float, float]
    """Of the head or face, in px of `picture`."""
    scale: float
    """Px of `picture` for one px of the crop."""
    side: float
    """Of the head or face, in px of the crop."""


@dataclass(frozen=True)
class Drawing:
    """A figure made ready for comparison."""

    figure: Part
    face: Part
    tones: np.ndarray
    """[10, 8, 3] float32: luma and chroma of the coarse figure; nan where little of it is seen."""


def drawing_of(picture: PIL.Image.Image, boxes: Sequence[Box]) -> Drawing | None:
    """The drawing in an RGB crop with its boxes; None without a head."""
    head = best_of(boxes, "head")
    if head is None:
        return None
    layers = picture.convert("YCbCr")
    face = best_of(boxes, "face") or head
    figure = _part(layers, head, max(1.0, head.y1 - head.y0), _FIGURE)
    grey = replace(figure, picture=figure.picture.getchannel(0))
    return Drawing(grey, _part(layers.getchannel(0), face, _side(face), _FACE), _tones(figure))


def same_drawings(drawings: Sequence[Drawing | None]) -> list[int]:
    """For each drawing the place of the earlier one that it repeats, or its own place. Repeats of repeats do not chain."""
    known = [(place, drawing) for place, drawing in enumerate(drawings) if drawing]
    found = list(range(len(drawings)))
    if not known:
        return found
    sizes = np.log([drawing.figure.side for _, drawing in known])
    tones = np.array([drawing.tones for _, drawing in known])
    kept = np.empty(0, np.int64)
    layer = lru_cache(_LAYERS_KEPT)(_layer)
    for row, (place, drawing) in enumerate(known):
        near = (np.abs(sizes[kept] - sizes[row]) <= _OTHER_SIZE) & _toned_alike(tones[kept], tones[row])
        original = next((known[other] for other in kept[near].tolist() if _is_same(known[other][1], drawing, layer)), None)
        if original:
            found[place] = original[0]
        else:
            kept = np.append(kept, row)
    return found


def _toned_alike(tones: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[n] bool: which of `tones` [n, 10, 8, 3] are near `other` [10, 8, 3] where both are seen, in all and at the head."""
    apart = np.abs(tones - other)
    alike = np.ones(len(tones), bool)
    for part in (apart, apart[:, _HEAD[0], _HEAD[1]]):
        both = np.maximum((~np.isnan(part)).sum(axis=(1, 2)), 1)
        luma, *chroma = (np.nan_to_num(part).sum(axis=(1, 2)) / both).T
        alike &= (luma <= _OTHER_TONE) & (np.maximum(*chroma) <= _OTHER_COLOUR)
    return alike


class _Layer(NamedTuple):
    """A part on the canvas; pixels are uint8."""

    pixels: np.ndarray
    low: np.ndarray
    """What a pixel that is alike one of these nine, each pixel and its eight neighbours, has at least."""
    high: np.ndarray
    """And at most."""
    seen: np.ndarray
    """Bool: what lies inside the crop."""

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> "_Layer":
        """All of it, changed."""
        return _Layer(*map(change, self))


_LayerOf = Callable[[Part, float, _Canvas], _Layer]
"""A part on a canvas, at so many px for one px of its crop."""


def _is_same(one: Drawing, other: Drawing, layer: _LayerOf) -> bool:
    return _fits(one.figure, other.figure, _FIGURE, layer) and _fits(one.face, other.face, _FACE, layer)


def _fits(one: Part, other: Part, canvas: _Canvas, layer: _LayerOf) -> bool:
    # One scale for both: boxes of one thing differ a little in size, and a drawing seen again does not.
    level = round(float(np.log(one.side * other.side)) / 2 / _LEVEL)
    scale = canvas.side / float(np.exp(level * _LEVEL))
    total, spot = _differing(layer(one, scale, canvas), layer(other, scale, canvas), canvas)
    return total <= canvas.differs[0] and spot <= canvas.differs[1]


def _differing(one: _Layer, other: _Layer, canvas: _Canvas) -> tuple[float, float]:
    """Share of differing pixels where `other` lies best on the middle of `one`, in all and in the worst spot; 1 where too
    little of both is seen. Every second place is tried with every second pixel each way; where little differs, the best is
    looked at whole, with those beside it."""
    inner = slice(canvas.room, -canvas.room)
    middle = one.each(lambda each: each[inner, inner])
    moved = other.each(lambda each: sliding_window_view(each, middle.seen.shape))
    coarse = moved.each(lambda each: each[_SECOND, _SECOND, _SECOND, _SECOND])
    shares, _ = _shares(middle.each(lambda each: each[_SECOND, _SECOND]), coarse, _FEWEST / 4)
    y, x = np.unravel_index(shares.argmin(), shares.shape)
    if shares[y, x] > canvas.differs[0] + _FAR:
        return float(shares[y, x]), 1.0
    beside = slice(max(0, 2 * y - 1), 2 * y + 2), slice(max(0, 2 * x - 1), 2 * x + 2)
    shares, wrong = _shares(middle, moved.each(lambda each: each[beside]), _FEWEST)
    best = np.unravel_index(shares.argmin(), shares.shape)
    return float(shares[best]), _worst_spot(wrong[best], canvas.spot)


def _shares(one: _Layer, moved: _Layer, fewest: float) -> tuple[np.ndarray, np.ndarray]:
    """Share of differing pixels [y, x] at each place of `moved` [y, x, h, w], 1 where fewer are seen, and which differ."""
    wrong = (one.pixels > moved.high) | (one.pixels < moved.low)
    wrong |= moved.pixels > one.high
    wrong |= moved.pixels < one.low
    both = one.seen & moved.seen
    wrong &= both
    count = both.sum(axis=(2, 3), dtype=np.uint16)
    return np.where(count < fewest, 1.0, wrong.sum(axis=(2, 3), dtype=np.uint16) / np.maximum(count, 1)), wrong


def _worst_spot(wrong: np.ndarray, side: int) -> float:
    """The greatest share of set pixels in any square."""
    sums = np.pad(wrong, ((1, 0), (1, 0))).astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    squares = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return float(squares.max()) / side**2


def _layer(part: Part, scale: float, canvas: _Canvas) -> _Layer:
    pixels, seen = _laid_out(part, scale, canvas)
    padded = np.pad(pixels, 1, mode="edge")
    around = [padded[y : y + canvas.height, x : x + canvas.width] for y in range(3) for x in range(3)]
    low, high = np.minimum.reduce(around), np.maximum.reduce(around)
    return _Layer(pixels, np.maximum(low, _ALIKE) - _ALIKE, np.minimum(high, 255 - _ALIKE) + _ALIKE, seen)


def _tones(figure: Part) -> np.ndarray:
    """Luma and chroma of a figure in YCbCr at an eighth of its canvas."""
    colours, seen = _laid_out(figure, _FIGURE.side / figure.side, _FIGURE)
    rows, columns = _FIGURE.height // 8, _FIGURE.width // 8
    seen = seen.reshape(rows, 8, columns, 8, 1)
    sums = (colours.astype(np.float32).reshape(rows, 8, columns, 8, 3) * seen).sum(axis=(1, 3))
    count = seen.sum(axis=(1, 3))
    return np.where(count > _SEEN_OF_64, sums / np.maximum(count, 1), np.nan).astype(np.float32)


def _part(grey: PIL.Image.Image, box: Box, side: float, canvas: _Canvas) -> Part:
    """What of a crop can come to lie on the canvas."""
    x, y = _centre(box)
    unit = side / canvas.side * (1 + _OTHER_SIZE)
    left, top = max(0, int(x - unit * canvas.width / 2)), max(0, int(y - unit * canvas.middle))
    right = min(grey.width, int(x + unit * canvas.width / 2) + 1)
    bottom = min(grey.height, int(y + unit * (canvas.height - canvas.middle)) + 1)
    scale = min(1.0, canvas.kept / side)
    near = grey.crop((left, top, right, bottom))
    size = max(1, round(near.width * scale)), max(1, round(near.height * scale))
    return Part(near.resize(size, PIL.Image.Resampling.BOX), ((x - left) * scale, (y - top) * scale), scale, side)


def _laid_out(part: Part, scale: float, canvas: _Canvas) -> tuple[np.ndarray, np.ndarray]:
    """The part on the canvas, at `scale` px for one px of its crop, and which px lie inside the crop."""
    unit = part.scale / scale
    x, y = part.centre
    left, top = x - unit * canvas.width / 2, y - unit * canvas.middle
    corner = int(np.floor(left)), int(np.floor(top))
    reach = int(unit * canvas.width) + 2, int(unit * canvas.height) + 2
    # Black lies beyond the crop's edges.
    near = part.picture.crop((*corner, corner[0] + reach[0], corner[1] + reach[1]))
    x0, y0 = left - corner[0], top - corner[1]
    box = (x0, y0, x0 + unit * canvas.width, y0 + unit * canvas.height)
    way = PIL.Image.Resampling.BOX if unit > 1 else PIL.Image.Resampling.BILINEAR
    pixels = near.resize((canvas.width, canvas.height), way, box=box)
    across = left + unit * (np.arange(canvas.width) + 0.5)
    down = top + unit * (np.arange(canvas.height) + 0.5)
    inside = (down >= 0) & (down <= part.picture.height), (across >= 0) & (across <= part.picture.width)
    return np.asarray(pixels), inside[0][:, None] & inside[1]


def _centre(box: Box) -> tuple[float, float]:
    return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2


def _side(box: Box) -> float:
    return float(np.sqrt(max(1.0, (box.x1 - box.x0) * (box.y1 - box.y0))))
