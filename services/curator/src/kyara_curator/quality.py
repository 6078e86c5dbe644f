"""How good a crop is as a drawing to learn from: blur, motion smear, compression, things in front, a head cut off.

The published process has no such filter, and low-quality pictures enter its datasets. Each flaw is a number of its own,
0 none .. 1 surely, kept with the crop; the cut is made on the worst of them. All are measured at the head, which a
LoRA has to get right, but for compression, which needs all the px there are.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import exp

import numpy as np
import PIL.Image

from kyara_artifacts import Box
from kyara_curator.framing import Framing
from kyara_curator.geometry import best_of, head_square

_HEAD_PX = 128
"""Heads are looked at no larger: a soft line on a close-up is no flaw."""
_TAPS = 9
_BLOCK = 8
_STRONG, _FAINT = 10.0, 0.05

# The value at which a flaw is as likely as not, and how fast it becomes sure: between clean frames of video and the same
# frames blurred, smeared and compressed until one sees it (`make accuracy-video` measures it).
_BLUR = (0.42, 0.04)
_SMEAR = (0.12, 0.02)
_COMPRESSION = (1.6, 0.2)


@dataclass(frozen=True)
class Flaws:
    """What is wrong with a crop, 0..1 each."""

    blur: float
    smear: float
    compression: float
    occlusion: float
    cut_off: float

    @property
    def scores(self) -> dict[str, float]:
        """As an image's metadata holds them."""
        return {name: round(value, 4) for name, value in (*asdict(self).items(), ("quality", self.quality))}

    @property
    def quality(self) -> float:
        """0..1: what the worst flaw leaves."""
        return 1 - max(asdict(self).values())

    @property
    def worst(self) -> str:
        """Name of the worst flaw."""
        flaws = asdict(self)
        return max(flaws, key=lambda name: flaws[name])


def flaws_of(picture: PIL.Image.Image, boxes: Iterable[Box], framing: Framing) -> Flaws:
    """The flaws of an RGB crop with its boxes; what only its frame shows is given."""
    head = best_of(boxes, "head")
    region = head_square(head, *picture.size) if head else (0, 0, *picture.size)
    grey = picture.convert("L")
    close = grey.crop(region)
    close.thumbnail((_HEAD_PX, _HEAD_PX), PIL.Image.Resampling.BOX)
    blurs = directional_blur(close)
    return Flaws(
        blur=_surely(float(np.mean(blurs)), *_BLUR),
        smear=_surely(float(np.max(blurs) - np.min(blurs)), *_SMEAR),
        compression=_surely(blockiness(np.asarray(grey, dtype=np.float32)), *_COMPRESSION),
        occlusion=framing.occlusion,
        cut_off=framing.cut_off,
    )


def _surely(value: float, middle: float, width: float) -> float:
    return 1 / (1 + exp(-(value - middle) / width))


def directional_blur(grey: PIL.Image.Image) -> list[float]:
    """How little is lost when a greyscale picture is blurred once more, 0..1, along four directions.

    Source: "The blur effect", Crete et al. 2007, with diagonals taken from the picture turned by 45 degrees.
    """
    turned = grey.rotate(45, PIL.Image.Resampling.BILINEAR, expand=False)
    edge = round(min(turned.size) * 0.15)
    inner = turned.crop((edge, edge, turned.width - edge, turned.height - edge))
    found = []
    for picture in (grey, inner):
        pixels = np.asarray(picture, dtype=np.float32)
        found += [_blur_along(pixels), _blur_along(pixels.T)]
    return found


def _blur_along(pixels: np.ndarray) -> float:
    """The blur effect along the last axis of [h, w]."""
    if pixels.shape[1] <= 2 * _TAPS:
        return 1.0
    sums = np.cumsum(np.pad(pixels, ((0, 0), (_TAPS // 2 + 1, _TAPS // 2)), mode="edge"), axis=1, dtype=np.float64)
    blurred = (sums[:, _TAPS:] - sums[:, :-_TAPS]) / _TAPS
    steps, soft = np.abs(np.diff(pixels, axis=1)), np.abs(np.diff(blurred, axis=1))
    total = float(steps.sum())
    return 1.0 if total < 1 else 1 - float(np.maximum(steps - soft, 0).sum()) / total


def blockiness(grey: np.ndarray) -> float:
    """How much greater lone steps are at the borders of 8x8 blocks than elsewhere in [h, w] of 0..255, wherever the grid
    lies; about 0 without compression, 2 and more where it is seen.

    After Wang, Sheikh and Bovik 2002, with one change for drawings, whose lines are strong and anywhere: a step counts
    by how far it stands out from those beside it, and strong ones no more than weak ones. Blocks have borders both ways,
    gradients and stripes seldom.
    """
    return min(_grid_along(grey), _grid_along(grey.T))


def _grid_along(grey: np.ndarray) -> float:
    steps = np.minimum(np.abs(np.diff(grey, axis=1)), _STRONG)
    alone = np.maximum(steps[:, 1:-1] - np.maximum(steps[:, :-2], steps[:, 2:]), 0).mean(axis=0)
    usable = len(alone) // _BLOCK * _BLOCK
    if usable < 2 * _BLOCK:
        return 0.0
    by_offset = np.sort(alone[:usable].reshape(-1, _BLOCK).mean(axis=0))
    return float(by_offset[-1] / (np.median(by_offset[:-1]) + _FAINT) - 1)
