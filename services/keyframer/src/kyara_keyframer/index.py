"""What a video's packets say before anything is decoded: when they are shown, how large they are, which are key frames.

Three numbers a packet are kept: the index of a two-hour film takes a few megabytes.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

_SHORT_S = 1.0
"""A file that ends this much before its own length is cut off; streams of one file differ by less."""
_HOLE_S = 0.5
_STEADY_SHARE, _ROUNDED_S = 0.95, 0.002


@dataclass(frozen=True)
class Index:
    """The packets of a video stream in stored order, [n] each."""

    stamps: np.ndarray
    """int64, in units of the stream: the time of decoding, or of showing where a format keeps no other. Names a packet."""
    times_s: np.ndarray
    """float64: when it is shown, in seconds from the beginning."""
    sizes: np.ndarray
    """int64, in bytes."""
    keys: np.ndarray
    """int64 [k]: places of the packets that a decoder can begin at; the first is 0."""
    length_s: float
    """How long the whole file is, by its own word or by what is in it."""
    lost: tuple[str, ...]
    """Sentences about what the file lacks."""


def stamp_of(packet: Packet) -> int | None:
    """What names a packet in its stream, or None for one that says nothing of its time."""
    return packet.dts if packet.dts is not None else packet.pts


def tells_times(container: InputContainer) -> bool:
    """Whether packets say when they are shown. AVI keeps their order alone, and FFmpeg's guess ignores B-frames."""
    return container.format.name != "avi"


def read_index(container: InputContainer, stream: VideoStream) -> Index:
    """Read every packet's head."""
    unit, origin, told = float(stream.time_base or 1), stream.start_time or 0, tells_times(container)
    columns = array("q"), array("q"), array("q"), array("q")
    packets, end_s = _Packets(container), 0.0
    for packet in packets:
        stamp = stamp_of(packet)
        if stamp is None or packet.time_base is None or not packet.size:
            continue
        end_s = max(end_s, float((stamp + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index == stream.index:
            shown = packet.pts if told and packet.pts is not None else stamp
            for column, value in zip(columns, (stamp, shown - origin, packet.size, packet.is_keyframe), strict=True):
                column.append(value)
    stamps, shown, sizes, keys = (np.array(column, np.int64) for column in columns)
    steps = np.diff(np.sort(shown)) * unit
    end_s -= (container.start_time or 0) / av.time_base
    length_s = max((container.duration or 0) / av.time_base, stream.frames * float(np.median(steps)) if len(steps) else 0.0)
    lost = [*_cut_off(end_s, length_s, packets.broken), *_holes(np.sort(shown) * unit, steps)]
    return Index(stamps, shown * unit, sizes, _beginnings(stamps, keys), max(end_s, length_s), tuple(lost))


class _Packets:
    """The packets of all streams, as far as they can be read."""

    def __init__(self, container: InputContainer) -> None:
        self.broken = False
        self._container = container

    def __iter__(self) -> Iterator[Packet]:
        try:
            yield from self._container.demux()
        except av.error.FFmpegError:
            self.broken = True


def _beginnings(stamps: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Places of key packets; only the first packet's when their stamps could not tell them apart."""
    places = np.flatnonzero(keys)
    places = places if len(places) and places[0] == 0 else np.concatenate(([0], places))
    return places if (np.diff(stamps[places]) > 0).all() else places[:1]


def _cut_off(end_s: float, length_s: float, broken: bool) -> Iterator[str]:
    if end_s < length_s - _SHORT_S:
        yield f"the file is cut off: it ends at {end_s:.1f} s of {length_s:.1f} s"
    elif broken:
        yield f"the file is damaged: nothing after {end_s:.1f} s can be read"


def _holes(times_s: np.ndarray, steps: np.ndarray) -> Iterator[str]:
    """Stretches without packets; only in a film of one frame rate, for in others a picture may simply stand."""
    if not len(steps):
        return
    usual = float(np.median(steps))
    if (np.abs(steps - usual) <= _ROUNDED_S).mean() < _STEADY_SHARE:
        return
    for place in np.flatnonzero(steps > max(_HOLE_S, 3 * usual)):
        yield f"the file is damaged: it holds nothing from {times_s[place]:.1f} s to {times_s[place + 1]:.1f} s"
