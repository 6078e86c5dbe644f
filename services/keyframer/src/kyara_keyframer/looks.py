"""What a frame looks like, cheaply: a thumbnail, how sharp it is, whether it is worth a look."""

from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

THUMBNAIL = (64, 36)
"""Width and height in px of a thumbnail, whatever the frame's shape."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_CHANGED_LEVELS = 20.0


@dataclass(frozen=True)
class Thumbnail:
    """A frame in small: float32 RGB [36, 64, 3] in 0..255, and its luma's mean and standard deviation."""

    pixels: np.ndarray
    luma_mean: float
    luma_deviation: float


class Shrinker:
    """Makes frames small. Keeps what the last one taught it of their format: for one thread, and one size."""

    def __init__(self, size: tuple[int, int], pixel_format: str) -> None:
        self._size, self._format = size, pixel_format
        self._reformatter = VideoReformatter()

    def __call__(self, image: VideoFrame) -> np.ndarray:
        """Uint8 [height, width] or [height, width, 3] of the size and pixel format."""
        width, height = self._size
        small = self._reformatter.reformat(image, width, height, self._format, interpolation=Interpolation.AREA)
        return np.asarray(small.to_ndarray())


def thumbnail(pixels: np.ndarray) -> Thumbnail:
    """Of a frame that a `Shrinker` made THUMBNAIL small, in rgb24."""
    pixels = pixels.astype(np.float32)
    luma = pixels @ _LUMA
    return Thumbnail(pixels, float(luma.mean()), float(luma.std()))


def difference(one: Thumbnail, other: Thumbnail) -> float:
    """Mean absolute difference of two thumbnails in levels, 0..255."""
    return float(np.abs(one.pixels - other.pixels).mean())


def changed_share(one: Thumbnail, other: Thumbnail) -> float:
    """Share of the picture (0..1) that looks different: a pose shows here, a grain of noise does not."""
    return float((np.abs(one.pixels - other.pixels).max(axis=2) > _CHANGED_LEVELS).mean())


def sharpness(image: VideoFrame) -> float:
    """Variance of the second difference of luma along every fourth row, in squared 8-bit levels.

    The variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000), along
    one axis. Only frames of one video are comparable.
    """
    rows = _luma_rows(image)
    second = 2 * rows[:, 1:-1] - rows[:, :-2] - rows[:, 2:]
    return float(second.var())


def _luma_rows(image: VideoFrame) -> np.ndarray:
    """Every fourth row of luma in 8-bit levels, float32, straight from the frame's memory where it lies there."""
    component = image.format.components[0]
    in_plane = image.format.is_planar and not image.format.is_rgb and not image.format.is_big_endian
    if not in_plane:
        gray = image.reformat(format="gray")
        return np.asarray(gray.to_ndarray())[::4].astype(np.float32)
    plane = image.planes[0]
    depth = np.dtype(np.uint8 if component.bits == 8 else "<u2")
    lines = np.frombuffer(memoryview(plane), depth).reshape(plane.height, plane.line_size // depth.itemsize)
    return lines[::4, : image.width].astype(np.float32) / np.float32(2 ** (component.bits - 8))
