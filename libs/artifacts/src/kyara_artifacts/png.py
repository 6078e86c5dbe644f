"""Pictures as PNG, by the encoder that FFmpeg has: several times as fast as Pillow's, and of the same size.

Who writes pictures asks for this package's extra `png`; others do without FFmpeg in their images.
"""

from fractions import Fraction
from typing import TYPE_CHECKING, cast

import numpy as np
import PIL.Image

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

_OPTIONS = {"pred": "up", "compression_level": "1"}
"""A row of a drawing is most often the one above; what is left needs no long search."""


def png_bytes(picture: PIL.Image.Image | np.ndarray) -> bytes:
    """PNG of a picture ([h, w, 3] uint8 RGB when an array); the same pixels give the same bytes, and nothing else is in them."""
    import av  # not above: readers of pictures need no FFmpeg

    pixels = picture if isinstance(picture, np.ndarray) else np.asarray(picture.convert("RGB"))
    codec = cast("VideoCodecContext", av.CodecContext.create("png", "w"))
    codec.height, codec.width, codec.pix_fmt = *pixels.shape[:2], "rgb24"
    codec.time_base, codec.thread_count, codec.options = Fraction(1), 1, _OPTIONS
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
