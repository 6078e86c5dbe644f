"""Small videos with known shots, made by the same FFmpeg that a stranger's would be read with."""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import av
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
from av.video.stream import VideoStream

FPS = 24
Drawing = Callable[[float], PIL.Image.Image]
"""A picture for each second of a shot's own time."""
Given = ParamSpec("Given")
Made = TypeVar("Made")


def scene(seed: int, size: tuple[int, int] = (320, 180), moving: bool = True, blur: float = 0) -> Drawing:
    """A coloured background with lines on it, and a disc that walks across when `moving`."""
    rng = np.random.default_rng(seed)
    coarse = PIL.Image.fromarray(rng.integers(20, 235, (5, 8, 3), dtype=np.uint8))
    background = coarse.resize(size, PIL.Image.Resampling.BICUBIC)
    pen = PIL.ImageDraw.Draw(background)
    for x in range(0, size[0], 16):
        pen.line((x, 0, x, size[1]), fill=(20, 20, 20))

    def draw(time_s: float) -> PIL.Image.Image:
        picture = background.copy()
        x = round(time_s * 80) if moving else 100
        PIL.ImageDraw.Draw(picture).ellipse((x, 50, x + 80, 130), fill=(250, 210, 180), outline=(10, 10, 10), width=3)
        return picture.filter(PIL.ImageFilter.GaussianBlur(blur)) if blur else picture

    return draw


def mosaic(seed: int, size: tuple[int, int] = (320, 180)) -> Drawing:
    """A still of many colours, so unlike any other that an encoder begins it with a key frame."""
    tiles = PIL.Image.fromarray(np.random.default_rng(seed).integers(20, 235, (18, 32, 3), dtype=np.uint8))
    picture = tiles.resize(size, PIL.Image.Resampling.NEAREST)
    return lambda time_s: picture


def plain(level: int, size: tuple[int, int] = (320, 180)) -> Drawing:
    """Nothing but one grey."""
    return lambda time_s: PIL.Image.new("RGB", size, (level, level, level))


def in_a_thread(work: Callable[Given, Made]) -> Callable[Given, Made]:
    """SVT-AV1 run by root makes the thread that opens it a real-time one, and with it all that this thread ever starts."""

    @functools.wraps(work)
    def done(*args: Given.args, **kwargs: Given.kwargs) -> Made:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(work, *args, **kwargs).result()

    return done


@in_a_thread
def write_video(
    path: Path,
    shots: Sequence[tuple[Drawing | None, float]],
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
    turned: int = 0,
    held: int = 1,
    mux: dict[str, str] | None = None,
) -> Path:
    """Write shots of (drawing, seconds), animated on twos; None is a hole. Gives the path."""
    with av.open(str(path), "w", options=mux or {}) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=FPS, options=options or {}))
        assert shots[0][0] is not None
        stream.width, stream.height = shots[0][0](0).size
        stream.pix_fmt = pixel_format
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if turned:
            stream.set_display_rotation(turned)
        count = 0
        for drawing, seconds in shots:
            for number in range(round(seconds * FPS)):
                count += 1
                # With a variable frame rate most frames are missing and the others stand longer, unevenly.
                if drawing is None or (held > 1 and number and count % (held + number % 2)):
                    continue
                frame = av.VideoFrame.from_image(drawing(number // 2 * 2 / FPS))
                frame.pts, frame.time_base = count - 1, Fraction(1, FPS)
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
