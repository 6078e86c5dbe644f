"""Whether two crops show one drawing: a figure held through a shot, moved over its background, or shown again later.

Boxes jitter and backgrounds pan, so crops of one drawing can differ more than crops of two. Here figures are laid over one
another by their heads, at one scale, moved until they fit best, and what still differs is looked at: the whole figure
coarsely, where another pose shows, and the face finely, where another mood does. A pixel differs when no pixel beside it
is alike, so that lines may lie between pixels. A codec's traces lie scattered, and another mouth lies in one place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import PIL.Image

from kyara_artifacts import Box
from kyara_curator.geometry import best_of

# The figure: px a head, px of the canvas, and where the head's centre lies in it.
_HEAD, _WIDTH, _HEIGHT, _CENTRE = 16, 64, 80, 20
_MOVED = 3
# The face: px, with room to move it in.
_FACE, _ROOM = 44, 6
_NATIVE = 128
_ALIKE = 18
# Shares of differing pixels up to which it is one drawing, in all and in the worst 5x5 px (`make accuracy-video` measures it).
_BODY_DIFFERS, _FACE_DIFFERS = (0.12, 0.46), (0.04, 0.52)
_SPOT = 5
# What cannot be one drawing without a closer look: heads of another size, other tones in the coarse figure.
_OTHER_SIZE, _OTHER_TONE, _OTHER_COLOUR = 0.15, 25.0, 6.0
_FEWEST, _SEEN_OF_64 = 400, 45
_OFF = np.arange(_FACE + 2 * _ROOM) - (_FACE + 2 * _ROOM - 1) / 2
_DISC = _OFF[:, None] ** 2 + _OFF**2 <= (_FACE / 2) ** 2
_ANYWHERE = np.ones_like(_DISC)


@dataclass(frozen=True)
class Drawing:
    """A figure laid out for comparison."""

    colours: np.ndarray
    """[80, 64, 3] uint8, luma and chroma; the head's centre at (20, 32), 16 px a head."""
    seen: np.ndarray
    """[80, 64] bool: what lies inside the crop."""
    face: PIL.Image.Image
    """The face with much around it, greyscale, at most 128 px."""
    face_scale: float
    """Px of `face` for one px of the crop."""
    face_px: float
    """Side of the face in px of the crop."""
    head_px: float
    """Side of the head in px of the crop."""

    @property
    def body(self) -> np.ndarray:
        """[80, 64] uint8: the luma of `colours`."""
        return self.colours[:, :, 0]

    @cached_property
    def tones(self) -> np.ndarray:
        """[10, 8, 3] float32: luma and chroma of the figure at an eighth of the size; nan where little of it is seen."""
        seen = self.seen.reshape(10, 8, 8, 8, 1)
        parts = self.colours.astype(np.float32).reshape(10, 8, 8, 8, 3) * seen
        count = seen.sum(axis=(1, 3))
        return np.where(count > _SEEN_OF_64, parts.sum(axis=(1, 3)) / np.maximum(count, 1), np.nan).astype(np.float32)


def drawing_of(picture: PIL.Image.Image, boxes: Sequence[Box]) -> Drawing | None:
    """The drawing in an RGB crop with its boxes; None without a head."""
    head = best_of(boxes, "head")
    if head is None:
        return None
    layers = picture.convert("YCbCr")
    grey = layers.getchannel(0)
    face = best_of(boxes, "face") or head
    around = 0.5 * (_FACE + 2 * _ROOM) / _FACE * 1.3 * _side(face)
    near = _cut(grey, _centre(face), around)
    shrink = min(1.0, _NATIVE / near.width)
    side = max(8, round(near.width * shrink))
    small = near.resize((side, side), PIL.Image.Resampling.BOX)
    colours, seen = _laid_out(layers, head)
    return Drawing(colours, seen, small, small.width / near.width, _side(face), _side(head))


def same_drawings(drawings: Sequence[Drawing | None]) -> list[int]:
    """For each drawing the place of the earlier one that it repeats, or its own place. Repeats of repeats do not chain."""
    known = [place for place, drawing in enumerate(drawings) if drawing]
    if not known:
        return list(range(len(drawings)))
    sizes = np.log([drawings[place].head_px for place in known])  # type: ignore[union-attr]
    tones = np.array([drawings[place].tones for place in known]).reshape(len(known), -1, 3)  # type: ignore[union-attr]
    found = list(range(len(drawings)))
    kept = np.empty(0, np.int64)
    for row, place in enumerate(known):
        near = (np.abs(sizes[kept] - sizes[row]) <= _OTHER_SIZE) & _toned_alike(tones[kept], tones[row])
        for other in kept[near].tolist():
            if is_same(drawings[known[other]], drawings[place]):  # type: ignore[arg-type]
                found[place] = known[other]
                break
        else:
            kept = np.append(kept, row)
    return found


def _toned_alike(tones: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[n] bool: which of `tones` [n, 80, 3] are near `other` [80, 3] where both are seen."""
    apart = np.abs(tones - other)
    both = np.maximum((~np.isnan(apart)).sum(axis=1), 1)
    luma, *chroma = (np.nan_to_num(apart).sum(axis=1) / both).T
    return (luma <= _OTHER_TONE) & (np.maximum(*chroma) <= _OTHER_COLOUR)


def is_same(one: Drawing, other: Drawing) -> bool:
    """Whether two crops show one drawing."""
    if not _alike(_differing(one.body, other.body, _MOVED, one.seen, other.seen), _BODY_DIFFERS):
        return False
    # One scale for both: boxes of one face differ a little in size, and a drawing seen again does not.
    scale = _FACE / float(np.sqrt(one.face_px * other.face_px))
    faces = [_scaled(each.face, scale / each.face_scale) for each in (one, other)]
    return _alike(_differing(faces[0], faces[1], _ROOM, _DISC, _ANYWHERE), _FACE_DIFFERS)


def _alike(differing: tuple[float, float], most: tuple[float, float]) -> bool:
    return differing[0] <= most[0] and differing[1] <= most[1]


def _differing(
    one: np.ndarray, other: np.ndarray, room: int, one_seen: np.ndarray, other_seen: np.ndarray
) -> tuple[float, float]:
    """Share of differing pixels where `other` lies best on the middle of `one`, in all and in the worst spot; 1 where too
    little of both is seen."""
    height, width = one.shape
    inner = (slice(room, height - room), slice(room, width - room))
    a, (a_low, a_high) = one[inner].astype(np.int16), [each[inner] for each in _range(one)]
    low, high = _range(other)
    least, where = 1.0, _ANYWHERE
    for window in _windows(room, height, width):
        both = one_seen[inner] & other_seen[window]
        if both.sum() < min(_FEWEST, both.size // 2):
            continue
        off = np.maximum.reduce([a - high[window], low[window] - a, other[window] - a_high, a_low - other[window]])
        wrong = (off > _ALIKE) & both
        if (share := float(wrong.sum() / both.sum())) < least:
            least, where = share, wrong
    return least, _worst_spot(where)


def _worst_spot(wrong: np.ndarray) -> float:
    """The greatest share of set pixels in any square of _SPOT px."""
    sums = np.pad(wrong, ((1, 0), (1, 0))).astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    squares = sums[_SPOT:, _SPOT:] - sums[:-_SPOT, _SPOT:] - sums[_SPOT:, :-_SPOT] + sums[:-_SPOT, :-_SPOT]
    return float(squares.max()) / _SPOT**2


def _windows(room: int, height: int, width: int) -> Iterator[tuple[slice, slice]]:
    for y in range(2 * room + 1):
        for x in range(2 * room + 1):
            yield slice(y, height - 2 * room + y), slice(x, width - 2 * room + x)


def _range(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest of each pixel and its eight neighbours, int16."""
    padded = np.pad(pixels.astype(np.int16), 1, mode="edge")
    shifted = [padded[y : y + pixels.shape[0], x : x + pixels.shape[1]] for y in range(3) for x in range(3)]
    return np.minimum.reduce(shifted), np.maximum.reduce(shifted)


def _laid_out(layers: PIL.Image.Image, head: Box) -> tuple[np.ndarray, np.ndarray]:
    scale = _HEAD / max(1.0, head.y1 - head.y0)
    x, y = _centre(head)
    small = layers.resize((max(1, round(layers.width * scale)), max(1, round(layers.height * scale))), PIL.Image.Resampling.BOX)
    left, top = round(_WIDTH / 2 - x * scale), round(_CENTRE - y * scale)
    canvas = PIL.Image.new("YCbCr", (_WIDTH, _HEIGHT))
    canvas.paste(small, (left, top))
    seen = np.zeros((_HEIGHT, _WIDTH), bool)
    seen[max(0, top) : max(0, top + small.height), max(0, left) : max(0, left + small.width)] = True
    return np.asarray(canvas), seen


def _scaled(face: PIL.Image.Image, scale: float) -> np.ndarray:
    """The middle of `face` at a scale, [56, 56] uint8."""
    side = (_FACE + 2 * _ROOM) / scale
    middle = _cut(face, (face.width / 2, face.height / 2), side / 2)
    way = PIL.Image.Resampling.BOX if scale < 1 else PIL.Image.Resampling.BILINEAR
    return np.asarray(middle.resize((_FACE + 2 * _ROOM, _FACE + 2 * _ROOM), way))


def _cut(grey: PIL.Image.Image, centre: tuple[float, float], half: float) -> PIL.Image.Image:
    """The square around a point; black beyond the picture."""
    x, y = centre
    return grey.crop((round(x - half), round(y - half), round(x + half), round(y + half)))


def _centre(box: Box) -> tuple[float, float]:
    return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2


def _side(box: Box) -> float:
    return float(np.sqrt(max(1.0, (box.x1 - box.x0) * (box.y1 - box.y0))))
