"""The packets of a segment, found in the file and told apart into stretches."""

from collections.abc import Iterator
from pathlib import Path

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from kyara_keyframer.container import opened
from kyara_keyframer.index import stamp_of
from kyara_keyframer.plan import Segment, Stretch


def in_stretches(path: Path, segment: Segment) -> Iterator[tuple[VideoStream, Stretch, Iterator[Packet]]]:
    """Each stretch with its packets, of which the caller takes as many as it wants before it asks for the next stretch."""
    with opened(path) as (container, stream):
        container.seek(segment.stretches[0].start, stream=stream, backward=True)
        packets = _until(_readable(container, stream), segment)
        first = next(packets, None)
        if first is not None:
            yield from _split(stream, first, packets, segment)
            return
    # The file's own table leads past the place or nowhere: walk there.
    with opened(path) as (container, stream):
        packets = _until(_readable(container, stream), segment)
        yield from _split(stream, next(packets), packets, segment)


def _readable(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """Packets as far as the file can be read; the index has said where that is."""
    try:
        yield from (packet for packet in container.demux(stream) if stamp_of(packet) is not None and packet.size)
    except av.error.FFmpegError:
        return


def _until(packets: Iterator[Packet], segment: Segment) -> Iterator[Packet]:
    """The segment's packets; none when they begin behind its first one."""
    start, found = segment.stretches[0].start, False
    for packet in packets:
        stamp = stamp_of(packet)
        if found and stamp == segment.end:
            return
        found = found or stamp == start
        if found:
            yield packet
        elif packet.is_keyframe and stamp is not None and stamp > start:
            return


def _split(
    stream: VideoStream, first: Packet, packets: Iterator[Packet], segment: Segment
) -> Iterator[tuple[VideoStream, Stretch, Iterator[Packet]]]:
    starts = {stretch.start: stretch for stretch in segment.stretches}
    head: Packet | None = first

    def inside(packet: Packet) -> Iterator[Packet]:
        nonlocal head
        yield packet
        for each in packets:
            if each.is_keyframe and stamp_of(each) in starts:
                head = each
                return
            yield each
        head = None

    while head is not None:
        stamp = stamp_of(head)
        assert stamp is not None
        mine = inside(head)
        yield stream, starts[stamp], mine
        for _ in mine:
            pass
