"""Which frames of a video are worth looking at.

Every shot is walked in windows of half a second. From each the sharpest frame that is decoded is put forward; the first of
a shot is kept, and a later one when it shows something new (another pose, a pan) or the shot is long. So every
shot has a frame, a character in several poses has several, and a still has one. Where key frames stand for shots, no
more is decoded than that takes.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kyara_keyframer.cuts import CutDetector
from kyara_keyframer.looks import THUMBNAIL, Shrinker, Thumbnail, changed_share, sharpness, thumbnail
from kyara_keyframer.plan import Stretch
from kyara_keyframer.text import TEXT_SIZE, is_text_only
from kyara_keyframer.video import Frame, Lost

# A drawing of an anime stands for two frames or three: more looks than this show nothing more.
_LOOK_EVERY_S = 1 / 16
_WINDOW_S = 0.5
_NEW_POSE_SHARE = 0.04
_LONG_S = 4.0
_NOTICEABLE_SHARE = 0.004
# A key frame carries the least damage from compression: it wins over a frame that is hardly sharper.
_KEY_FRAME_BONUS = 1.1
_CREDITS = "credits: lines of text over one flat colour, and no figure"


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
    """A shot begins. A `Picker` made of it goes on from `position` as the one went on that said it."""

    number: int
    position: int
    time_s: float
    last_kept_s: float | None


@dataclass(frozen=True)
class Kept:
    """A frame worth looking at."""

    frame: Frame
    shot: int
    sharpness: float


@dataclass(frozen=True)
class Dropped:
    """A frame that is not worth a look, with none beside it that is; the first of its kind in its shot."""

    time_s: float
    reason: str

    @property
    def kind(self) -> str:
        """`black`, `blank` or `credits`."""
        return self.reason.partition(":")[0]


@dataclass
class _Window:
    """The best of the frames since `begin_s`."""

    begin_s: float
    best: tuple[float, float, Frame, Thumbnail] | None = None
    flaw: Dropped | None = None


Event = Shot | Kept | Dropped | Lost


class Picker:
    """Sees frames in order and says what happens: shots that begin, frames kept, dropped and lost. Holds one frame."""

    def __init__(self, rules: Rules, after: Shot | None = None) -> None:
        """To go on from a `Shot` of another walk, give it as `after`, with the frames from its position on."""
        self.shot = after.number - 1 if after else -1
        self.last_kept_s = after.last_kept_s if after else None
        self._rules = rules
        self._cuts = CutDetector()
        self._window: _Window | None = None
        self._shown: Thumbnail | None = None
        self._flaws_said: set[str] = set()
        self._skipped = False
        self._small, self._for_text = Shrinker(THUMBNAIL, "rgb24"), Shrinker(TEXT_SIZE, "gray")
        self._next_look_s = -math.inf

    def walk(self, stretches: Iterable[tuple[Stretch, Iterator[Frame | Lost]]], start: int | None = None) -> Iterator[Event]:
        """What happens in `stretches`, from position `start` on. A stretch is left where nothing more is wanted of it."""
        for stretch, frames in stretches:
            # The key frame that begins it may be the first of a shot, however soon it comes.
            self._next_look_s = -math.inf
            for frame in frames:
                if isinstance(frame, Lost):
                    yield frame
                elif start is None or frame.position >= start:
                    yield from self._see(frame)
                    if frame.time_s >= stretch.until_s and self._has_a_frame():
                        self._skipped = True
                        break

    def finish(self) -> Iterator[Event]:
        """What is left to say when the video ends."""
        yield from self._close_window()

    def _has_a_frame(self) -> bool:
        """Whether the present shot has one, kept or put forward."""
        return self._shown is not None or (self._window is not None and self._window.best is not None)

    def _see(self, frame: Frame) -> Iterator[Event]:
        if frame.time_s < self._next_look_s:
            return
        self._next_look_s = frame.time_s + _LOOK_EVERY_S
        seen = thumbnail(self._small(frame.image))
        skipped, self._skipped = self._skipped, False
        if self._cuts.is_cut(seen, skipped):
            yield from self._close_window()
            self.shot += 1
            self._shown, self._flaws_said = None, set()
            yield Shot(self.shot, frame.position, frame.time_s, self.last_kept_s)
        if self._window is not None and frame.time_s >= self._window.begin_s + _WINDOW_S:
            yield from self._close_window()
        if self.last_kept_s is None or frame.time_s >= self.last_kept_s + self._rules.min_gap_s:
            self._consider(frame, seen)

    def _consider(self, frame: Frame, seen: Thumbnail) -> None:
        window = self._window = self._window or _Window(frame.time_s)
        flaw = self._rules.flaw(seen)
        sharp = sharpness(frame.image) if flaw is None else 0.0
        rank = sharp * (_KEY_FRAME_BONUS if frame.key else 1.0)
        if flaw is None and window.best is not None and rank <= window.best[0]:
            return
        # A few lines of text leave a frame as dark as a black one: look for them in both.
        if is_text_only(self._for_text(frame.image)):
            flaw = _CREDITS
        if flaw is None:
            window.best = rank, sharp, frame, seen
        else:
            window.flaw = window.flaw or Dropped(frame.time_s, flaw)

    def _close_window(self) -> Iterator[Kept | Dropped]:
        window, self._window = self._window, None
        if window is None:
            return
        if window.best is None:
            if window.flaw is not None and window.flaw.kind not in self._flaws_said:
                self._flaws_said.add(window.flaw.kind)
                yield window.flaw
            return
        _, sharp, frame, seen = window.best
        if self._is_news(frame, seen):
            self.last_kept_s, self._shown = frame.time_s, seen
            yield Kept(frame, self.shot, sharp)

    def _is_news(self, frame: Frame, seen: Thumbnail) -> bool:
        if self._shown is None or self.last_kept_s is None:
            return True
        share = changed_share(self._shown, seen)
        is_long = frame.time_s - self.last_kept_s >= _LONG_S
        return share >= _NEW_POSE_SHARE or (is_long and share >= _NOTICEABLE_SHARE)
