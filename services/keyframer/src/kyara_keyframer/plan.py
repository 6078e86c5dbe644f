"""Which parts of a video are decoded: its key frames, and what lies behind one where the packets hint at a cut.

An encoder that looks for cuts begins each shot with a key frame, save when the last one is too near or the new picture too
much like the old. A cut without a key frame still costs bits: soon after it comes a packet far larger than its
neighbours, or as large as a key frame. An encoder that does not look for cuts places key frames at even
distances, or everywhere; such a video is looked at whole.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kyara_keyframer.index import Index

_SHORTEST_SHOT_S = 0.7
_SEGMENT_S = 30.0
_EVERYWHERE_S = 0.3
_FEWEST_KEY_FRAMES = 4
_EVEN = 0.9
# As long as a window of the picker, and a look more: time to put forward a frame of what is new.
_AFTER_A_HINT_S = 0.6
_BLOCK = 24
_LARGE_SHARE, _LARGE_OVER_USUAL, _AS_A_KEY_FRAME = 0.15, 1.6, 0.45


@dataclass(frozen=True)
class Stretch:
    """Packets from a key frame to the next stretch."""

    start: int
    """Stamp of its first packet."""
    until_s: float
    """Its frames are looked at up to this time at least; -inf: the key frame may be enough."""


@dataclass(frozen=True)
class Segment:
    """Stretches that follow one another, half a minute or more of video."""

    stretches: tuple[Stretch, ...]
    end: float
    """Stamp of the packet after the last one; inf at the video's end."""
    end_s: float
    """When the next segment begins; inf at the video's end."""


def segments(index: Index, every_frame: bool) -> list[Segment]:
    """The whole video in segments, with what is to be decoded of each. Depends on nothing but the file."""
    starts = _segment_starts(index)
    stretches = _whole(index, starts) if every_frame or not _tell_shots(index) else _from_key_to_key(index)
    found: list[Segment] = []
    for start, after in zip(starts, [*starts[1:], None], strict=True):
        end = math.inf if after is None else int(index.stamps[after])
        inside = (each for each in stretches if index.stamps[start] <= each.start < end)
        end_s = math.inf if after is None else float(index.times_s[after])
        found.append(Segment(tuple(inside), end, end_s))
    return found


def _segment_starts(index: Index) -> list[int]:
    """Places of the key packets that begin a segment."""
    starts = [int(index.keys[0])]
    for place in index.keys[1:]:
        if index.times_s[place] - index.times_s[starts[-1]] >= _SEGMENT_S:
            starts.append(int(place))
    return starts


def _tell_shots(index: Index) -> bool:
    """Whether key frames stand for shots: so near that none is missed, or placed unevenly, as by an eye for cuts."""
    lengths = np.diff(index.times_s[index.keys])
    if len(lengths) < _FEWEST_KEY_FRAMES or lengths.mean() < _EVERYWHERE_S:
        return False
    return bool(lengths.max() < _SHORTEST_SHOT_S or np.median(lengths) < _EVEN * lengths.max())


def _whole(index: Index, starts: list[int]) -> list[Stretch]:
    return [Stretch(int(index.stamps[start]), math.inf) for start in starts]


def _from_key_to_key(index: Index) -> list[Stretch]:
    """A stretch for each key frame, to be looked at as far as the last packet that may follow a cut."""
    dense = bool(np.diff(index.times_s[index.keys]).max() < _SHORTEST_SHOT_S)
    hints = np.zeros(len(index.sizes), bool) if dense else _hints(index)
    ends = [*index.keys[1:], len(index.stamps)]
    return [
        Stretch(int(index.stamps[key]), float(index.times_s[key:end][hints[key:end]].max(initial=-math.inf)) + _AFTER_A_HINT_S)
        for key, end in zip(index.keys, ends, strict=True)
    ]


def _hints(index: Index) -> np.ndarray:
    """Bool [n]: packets as large as only a new picture makes them.

    Compared with the key frame that they follow, and with the larger ones among their neighbours: of the frames that
    others are predicted from, not of the small ones between.
    """
    sizes = index.sizes.astype(float)
    of_key = np.repeat(sizes[index.keys], np.diff([*index.keys, len(sizes)]))
    sizes[index.keys] = np.nan
    usual = np.concatenate([np.full(count, level) for count, level in _usual_sizes(sizes)])
    large = (sizes >= _LARGE_SHARE * of_key) & (sizes >= _LARGE_OVER_USUAL * usual)
    return large | (sizes >= _AS_A_KEY_FRAME * of_key)


def _usual_sizes(sizes: np.ndarray) -> Iterator[tuple[int, float]]:
    """For each block of packets, how many they are and how large the larger ones there and beside it are."""
    for start in range(0, len(sizes), _BLOCK):
        near = sizes[max(0, start - _BLOCK) : start + 2 * _BLOCK]
        near = near[~np.isnan(near)]
        level = float(np.median(near[near >= near.mean()])) if len(near) else 0.0
        yield min(_BLOCK, len(sizes) - start), level
