"""A video file as frames with their times, whatever its codec, and a frame as the picture that a viewer sees.

Nothing but the file itself is read: formats that point to other files or addresses (playlists, lists of parts) are
refused, because a video comes from strangers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.error
import numpy as np
import PIL.Image
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation
from av.video.stream import VideoStream

_FORMATS = "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,mpegts,mpeg,flv,ogg,asf"
_UNSPECIFIED_COLOURSPACE = 2
_HD_HEIGHT = 720


class VideoError(ValueError):
    """The file cannot be read as a video; the message says why."""


@dataclass(frozen=True)
class Frame:
    """One decoded frame. `position` grows with time and names the frame in its file."""

    position: int
    time_s: float
    key: bool
    image: VideoFrame


class Video:
    """A video file. `damaged` counts the packets that the last walk through it could not decode."""

    def __init__(self, path: Path) -> None:
        """Raises VideoError when `path` holds no moving picture that FFmpeg knows."""
        self.damaged = 0
        self._path = path
        with self._open() as (container, stream):
            self.duration_s = _duration_s(container, stream)
            self._pixel_aspect = stream.sample_aspect_ratio or Fraction(1)
            self._origin = stream.start_time or 0

    def frames(self, start: int | None = None) -> Iterator[Frame]:
        """Frames in the order of showing; only those from position `start` on where it is given."""
        if start is None:
            with self._open() as (container, stream):
                yield from self._decoded(container, stream)
            return
        with self._open() as (container, stream):
            container.seek(start, stream=stream, backward=True)
            frames = self._decoded(container, stream)
            first = next(frames, None)
            if first is not None and first.position <= start:
                if first.position == start:
                    yield first
                yield from (frame for frame in frames if frame.position >= start)
                return
        # The file's index leads past the place or nowhere: walk there.
        yield from (frame for frame in self.frames() if frame.position >= start)

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

    @contextmanager
    def _open(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
        try:
            container = cast(InputContainer, av.open(str(self._path), options=options))
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(f"FFmpeg knows no video in it ({getattr(error, 'strerror', None) or error})") from error
        with container:
            # A cover picture of a music file is a video stream too, by FFmpeg's count.
            moving = [stream for stream in container.streams.video if not _is_cover(stream)]
            if not moving:
                raise VideoError("it holds no video stream")
            stream = moving[0]
            if stream.codec_context is None:
                raise VideoError("its codec is unknown")
            stream.thread_type = "AUTO"
            yield container, stream

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[Frame]:
        self.damaged = 0
        last: int | None = None
        for image in self._images(container, stream):
            # Damaged files repeat times; a frame that does not move on could not be found again.
            if image.pts is None or image.is_corrupt or (last is not None and image.pts <= last):
                continue
            last = image.pts
            time_s = float((image.pts - self._origin) * (stream.time_base or 0))
            yield Frame(image.pts, time_s, bool(image.key_frame), image)

    def _images(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:
                # The rest of the file cannot be told into packets: what came so far stands.
                self.damaged += 1
                return
            try:
                images = packet.decode()
            except av.error.FFmpegError:
                self.damaged += 1
                continue
            yield from (image for image in images if isinstance(image, VideoFrame))


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    """Length by the file's own word; 0 when it says nothing."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base
