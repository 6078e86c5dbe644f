"""A video file opened with care: it comes from a stranger.

Nothing but the file itself is read: formats that point to other files or addresses (playlists, lists of parts) are
refused. So is a picture too large to hold, before any of it is decoded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

MOST_PIXELS = 4096 * 2304
"""Px of a frame at most, a little over 4K: a decoder holds up to 16 frames at once."""
NO_FRAME = "it lasts 0 s: there is not one frame in it"
_PROBED_PIXELS = 8192 * 8192
"""Px up to which FFmpeg may find out how large frames are: for those it decodes one, where the head does not say it."""
_FORMATS = "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,mpegts,mpeg,flv,ogg,asf"
_ARCHIVES = {b"PK\x03\x04": "zip", b"Rar!": "rar", b"7z\xbc\xaf": "7z", b"\x1f\x8b": "gzip"}
_ENCRYPTED = 1


class VideoError(ValueError):
    """The file cannot be read as a video; the message says why."""


class TooLarge(VideoError):
    """It is a video, but its frames are too large."""


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file and its moving picture. Raises VideoError when it holds none, TooLarge for one over MOST_PIXELS."""
    _look_at_the_head(path)
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file", "max_pixels": str(_PROBED_PIXELS)}
    try:
        container = cast(InputContainer, av.open(str(path), options=options))
    except av.error.EOFError as error:
        raise VideoError(NO_FRAME) from error
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(f"FFmpeg knows no video in it ({getattr(error, 'strerror', None) or error})") from error
    with container:
        stream = _moving_picture(container)
        # Segments are what runs in parallel; one thread a decoder holds the fewest frames.
        stream.thread_count = 1
        # A head may lie about the size of what follows.
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        yield container, stream


def _look_at_the_head(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise VideoError("it is empty")
    kind = next((kind for magic, kind in _ARCHIVES.items() if head.startswith(magic)), None)
    if kind is not None:
        encrypted = "an encrypted" if kind == "zip" and head[6] & _ENCRYPTED else "a"
        raise VideoError(f"it is {encrypted} {kind} archive; unpack it first")


def _moving_picture(container: InputContainer) -> VideoStream:
    # A cover picture of a music file is a video stream too, by FFmpeg's count.
    moving = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not moving:
        raise VideoError("it holds sound only" if container.streams.audio else "it holds no video stream")
    stream = moving[0]
    if stream.codec_context is None:
        raise VideoError("its codec is unknown")
    if stream.codec_context.width * stream.codec_context.height > MOST_PIXELS:
        size = f"{stream.codec_context.width}x{stream.codec_context.height}"
        raise TooLarge(f"its frames have {size} px, and {MOST_PIXELS} px in all are the most; scale it down to 4K first")
    return stream
