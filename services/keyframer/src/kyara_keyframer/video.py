"""A video file as frames with their times, whatever its codec, and a frame as the picture that a viewer sees."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av.error
import numpy as np
import PIL.Image
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation
from av.video.stream import VideoStream

from kyara_keyframer.container import NO_FRAME, VideoError, opened
from kyara_keyframer.index import read_index, stamp_of, tells_times
from kyara_keyframer.plan import Segment, Stretch
from kyara_keyframer.stretches import in_stretches

_UNSPECIFIED_COLOURSPACE = 2
_HD_HEIGHT = 720
_WIDEST_PIXEL = 4
"""A pixel this many times as wide as it is high, or the other way round, comes from a damaged head."""


@dataclass(frozen=True)
class Frame:
    """One decoded frame. `position` grows with time and names the frame in its file."""

    position: int
    time_s: float
    key: bool
    image: VideoFrame


@dataclass(frozen=True)
class Lost:
    """A packet that could not be decoded, and when it would have been shown."""

    time_s: float


class Video:
    """A video file; several threads may walk through it at once."""

    def __init__(self, path: Path) -> None:
        """Reads the file once and decodes nothing of it. Raises VideoError when it holds no moving picture."""
        self._path = path
        with opened(path) as (container, stream):
            self.index = read_index(container, stream)
            self._told = tells_times(container)
            self._origin, self._unit = stream.start_time or 0, stream.time_base or Fraction(1)
            aspect = stream.sample_aspect_ratio or Fraction(1)
            self._pixel_aspect = aspect if 1 / _WIDEST_PIXEL <= aspect <= _WIDEST_PIXEL else Fraction(1)
        if not len(self.index.stamps):
            raise VideoError(NO_FRAME)

    def walk(self, segment: Segment) -> Iterator[tuple[Stretch, Iterator[Frame | Lost]]]:
        """The segment's stretches, each with its frames in the order of showing.

        Frames are decoded as they are asked for. What is not asked for before the next stretch is skipped.
        """
        for stream, stretch, packets in in_stretches(self._path, segment):
            # Every other frame is one that no other needs, and a drawing stands for two frames or three. Where packets
            # tell no times, frames are counted, and none may be missing.
            stream.codec_context.skip_frame = "NONREF" if self._told else "DEFAULT"
            yield stretch, self._frames(stream, stretch, packets)

    def picture(self, frame: Frame, max_height: int = 0) -> PIL.Image.Image:
        """The frame as a viewer sees it: square pixels, upright, at most `max_height` px tall (0: any height).

        Without a named colour space it is taken as BT.709 from 720 lines on and as BT.601 below, as players do.
        """
        image = frame.image
        width, height = round(image.width * self._pixel_aspect), image.height
        shown_height = width if image.rotation % 180 else height
        if max_height and shown_height > max_height:
            width, height = (max(1, round(side * max_height / shown_height)) for side in (width, height))
        colourspace = None
        if image.colorspace == _UNSPECIFIED_COLOURSPACE and not image.format.is_rgb:
            colourspace = Colorspace.ITU709 if image.height >= _HD_HEIGHT else Colorspace.ITU601
        rgb = image.reformat(width, height, "rgb24", src_colorspace=colourspace, interpolation=Interpolation.AREA)
        picture = PIL.Image.fromarray(np.asarray(rgb.to_ndarray()))
        return picture.rotate(image.rotation, expand=True) if image.rotation else picture

    def _frames(self, stream: VideoStream, stretch: Stretch, packets: Iterator[Packet]) -> Iterator[Frame | Lost]:
        """A stretch's frames from its key frame on, each later than the one before.

        Frames that are shown before it need others of the stretch before. Damaged files repeat times, and a frame that does
        not move on could not be found again.
        """
        head = next(packets)
        last = -math.inf if head.pts is None or not self._told else head.pts - 1
        for each in self._decoded(stream, stretch, head, packets):
            if isinstance(each, Frame):
                if each.position <= last:
                    continue
                last = each.position
            yield each

    def _decoded(self, stream: VideoStream, stretch: Stretch, head: Packet, packets: Iterator[Packet]) -> Iterator[Frame | Lost]:
        if stretch.until_s == -math.inf:
            # Its key frame may be all that is asked for.
            yield from self._decode(stream, [head])
        # More is asked for: a decoder that was emptied has to begin with the key frame again.
        yield from self._decode(stream, chain([head], packets))

    def _decode(self, stream: VideoStream, packets: Iterable[Packet]) -> Iterator[Frame | Lost]:
        """The frames of packets that follow a key packet."""
        stream.codec_context.flush_buffers()
        fed: deque[int] = deque()
        for packet in chain(packets, [None]):
            try:
                images = stream.codec_context.decode(packet)
            except av.error.FFmpegError:
                if packet is not None:
                    yield Lost(self._time_s(stamp_of(packet) or 0))
                continue
            if packet is not None:
                fed.append(stamp_of(packet) or 0)
            for image in images:
                # Frames come in the order of showing: where packets tell no times, the first has that of the first.
                position = image.pts if self._told else fed.popleft()
                if position is not None:
                    time_s = self._time_s(position)
                    yield Lost(time_s) if image.is_corrupt else Frame(position, time_s, bool(image.key_frame), image)

    def _time_s(self, stamp: int) -> float:
        return float((stamp - self._origin) * self._unit)
