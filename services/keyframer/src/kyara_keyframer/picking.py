"""Which frames of a video are worth looking at.

Every shot is walked in windows of half a second. From each the sharpest frame is put forward; the first of a shot is
kept, and a later one when it shows something new (another pose, a pan) or the shot is long. So every shot
has a frame, a character in several poses has several, and a still has one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kyara_keyframer.cuts import CutDetector
from kyara_keyframer.looks import Thumbnail, changed_share, sharpness, thumbnail
from kyara_keyframer.video import Frame

_WINDOW_S = 0.5
_NEW_POSE_SHARE = 0.04
_LONG_S = 4.0
_NOTICEABLE_SHARE = 0.004
# A key frame carries the least damage from compression: it wins over a frame that is hardly sharper.
_KEY_FRAME_BONUS = 1.1


@dataclass(frozen=True)
class Rules:
    """What a kept frame must be."""

    min_gap_s: float = 0.5
    """Seconds between kept frames at least."""
    black_luma: float = 12.0
    """Mean luma (0..255) under which a frame is black."""
    blank_deviation: float = 6.0
    """Standard deviation of luma under which a frame is blank."""

    def flaw(self, seen: Thumbnail) -> str | None:
        """Why the frame is not worth a look, or None."""
        if seen.luma_mean < self.black_luma:
            return f"black: mean luma {seen.luma_mean:.1f} is under {self.black_luma:g}"
        if seen.luma_deviation < self.blank_deviation:
            return f"blank: luma varies by {seen.luma_deviation:.1f}, less than {self.blank_deviation:g}"
        return None


@dataclass(frozen=True)
class Shot:
    """A shot begins. With `position` and `last_kept_s`, `pick` can go on from here."""

    number: int
    position: int
    last_kept_s: float | None


@dataclass(frozen=True)
class Kept:
    """A frame worth looking at."""

    frame: Frame
    shot: int
    sharpness: float


@dataclass(frozen=True)
class Dropped:
    """A shot's frame, black or blank, that nothing better was found for."""

    time_s: float
    reason: str


@dataclass
class _Window:
    """The best of the frames since `begin_s`."""

    begin_s: float
    best: tuple[float, float, Frame, Thumbnail] | None = None
    flaw: Dropped | None = None


@dataclass
class _Picker:
    rules: Rules
    shot: int
    last_kept_s: float | None
    window: _Window | None = None
    shown: Thumbnail | None = None
    last_sharpness: tuple[Thumbnail, float] | None = field(default=None)
    flaw_said: bool = False

    def begin_shot(self) -> None:
        self.shot += 1
        self.window = None
        self.shown = None
        self.flaw_said = False

    def see(self, frame: Frame, seen: Thumbnail) -> Iterator[Kept | Dropped]:
        if self.last_kept_s is not None and frame.time_s < self.last_kept_s + self.rules.min_gap_s:
            return
        if self.window is not None and frame.time_s >= self.window.begin_s + _WINDOW_S:
            yield from self.close_window()
            yield from self.see(frame, seen)
            return
        if self.window is None:
            self.window = _Window(frame.time_s)
        reason = self.rules.flaw(seen)
        if reason is not None:
            self.window.flaw = self.window.flaw or Dropped(frame.time_s, reason)
            return
        sharp = sharpness(frame.image)
        rank = sharp * (_KEY_FRAME_BONUS if frame.key else 1.0)
        if self.window.best is None or rank > self.window.best[0]:
            self.window.best = rank, sharp, frame, seen

    def close_window(self) -> Iterator[Kept | Dropped]:
        window, self.window = self.window, None
        if window is None:
            return
        if window.best is None:
            if window.flaw is not None and not self.flaw_said:
                self.flaw_said = True
                yield window.flaw
            return
        _, sharp, frame, seen = window.best
        if self._is_news(frame, seen):
            self.last_kept_s, self.shown = frame.time_s, seen
            yield Kept(frame, self.shot, sharp)

    def _is_news(self, frame: Frame, seen: Thumbnail) -> bool:
        if self.shown is None or self.last_kept_s is None:
            return True
        share = changed_share(self.shown, seen)
        is_long = frame.time_s - self.last_kept_s >= _LONG_S
        return share >= _NEW_POSE_SHARE or (is_long and share >= _NOTICEABLE_SHARE)


def pick(frames: Iterable[Frame], rules: Rules, after: Shot | None = None) -> Iterator[Shot | Kept | Dropped]:
    """What happens in `frames`, in order: shots that begin, frames kept, frames dropped.

    To go on from a `Shot` of an earlier run, give it as `after` with the frames from its position on: the same
    events follow as followed it then. Holds one frame at a time.
    """
    picker = _Picker(rules, after.number - 1 if after else -1, after.last_kept_s if after else None)
    cuts = CutDetector()
    for frame in frames:
        seen = thumbnail(frame.image)
        if cuts.is_cut(seen):
            yield from picker.close_window()
            picker.begin_shot()
            yield Shot(picker.shot, frame.position, picker.last_kept_s)
        yield from picker.see(frame, seen)
    yield from picker.close_window()
