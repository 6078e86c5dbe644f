"""A video's segments side by side, with the outcome of one walk through all of it.

A walk that begins in the middle does not know which shot it is in, nor when a frame was last kept. So a segment is walked
ahead by a worker, as if a video began there; once all before it is known it is walked again, up to the first
shot from which both walks are one. That is its first shot more often than not.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice, repeat

from kyara_artifacts import Image
from kyara_keyframer.picking import Dropped, Event, Kept, Picker, Rules, Shot
from kyara_keyframer.plan import Segment
from kyara_keyframer.video import Frame, Lost, Video

Outcome = Shot | Image | Dropped | Lost
"""What a walk tells of: an event, where a frame that was kept is in the store by now."""


@dataclass(frozen=True)
class Work:
    """What is done on a walk. Called by several threads at once."""

    save: Callable[[Kept], Image]
    looked: Callable[[float], None]
    """Told the time of each frame that is decoded."""


@dataclass(frozen=True)
class _Ahead:
    """A segment walked as if a video began there."""

    outcomes: list[Outcome]
    picker: Picker
    """As it was at the end."""


class Walker:
    """Walks through a video with `threads` threads; the outcome is the same for any number of them."""

    def __init__(self, video: Video, rules: Rules, work: Work, threads: int) -> None:
        self._video, self._rules, self._work, self._threads = video, rules, work, threads

    def walk(self, segments: Sequence[Segment], after: Shot | None = None) -> Iterator[Outcome]:
        """What happens in `segments`, in order; from the shot `after` on, which is in the first of them, where it is given."""
        picker = Picker(self._rules, after)
        with self._walked_ahead(segments[1:]) as ahead:
            yield from self._outcomes(picker, segments[0], after.position if after else None)
            for segment, walked in zip(segments[1:], ahead, strict=True):
                picker = yield from self._joined(picker, segment, walked)
        yield from map(self._outcome, picker.finish())

    @contextmanager
    def _walked_ahead(self, segments: Sequence[Segment]) -> Iterator[Iterator[_Ahead | None]]:
        """Segments walked ahead, in order; None for each when there are no threads for it."""
        if self._threads == 1 or not segments:
            yield repeat(None, len(segments))
            return
        pool = ThreadPoolExecutor(self._threads)
        try:
            # A few at a time: what was found ahead waits in memory.
            rest = iter(segments)
            begun = deque(pool.submit(self._ahead, segment) for segment in islice(rest, 2 * self._threads))
            yield self._in_order(pool, begun, rest)
        finally:
            pool.shutdown(cancel_futures=True)

    def _in_order(self, pool: ThreadPoolExecutor, begun: deque[Future[_Ahead]], rest: Iterator[Segment]) -> Iterator[_Ahead]:
        while begun:
            walked = begun.popleft().result()
            begun.extend(pool.submit(self._ahead, segment) for segment in islice(rest, 1))
            yield walked

    def _ahead(self, segment: Segment) -> _Ahead:
        picker = Picker(self._rules)
        return _Ahead(list(self._outcomes(picker, segment)), picker)

    def _joined(self, picker: Picker, segment: Segment, walked: _Ahead | None) -> Generator[Outcome, None, Picker]:
        """What happens in a segment that `picker` comes to; gives the picker that goes on behind it."""
        shots = {each.position: each for each in walked.outcomes if isinstance(each, Shot)} if walked else {}
        for outcome in self._outcomes(picker, segment):
            there = shots.get(outcome.position) if isinstance(outcome, Shot) else None
            if walked and there and isinstance(outcome, Shot) and self._one_from(outcome, there):
                later = outcome.number - there.number
                for each in walked.outcomes[walked.outcomes.index(there) :]:
                    yield _moved(each, later, outcome.last_kept_s)
                walked.picker.shot += later
                if walked.picker.last_kept_s is None:
                    walked.picker.last_kept_s = outcome.last_kept_s
                return walked.picker
            yield outcome
        return picker

    def _one_from(self, one: Shot, other: Shot) -> bool:
        """Whether two walks go on alike from a shot: when a frame was last kept matters only while it is near."""
        return one.last_kept_s == other.last_kept_s or (self._free(one) and self._free(other))

    def _free(self, shot: Shot) -> bool:
        return shot.last_kept_s is None or shot.time_s >= shot.last_kept_s + self._rules.min_gap_s

    def _outcomes(self, picker: Picker, segment: Segment, start: int | None = None) -> Iterator[Outcome]:
        stretches = ((stretch, self._watched(frames)) for stretch, frames in self._video.walk(segment))
        return map(self._outcome, picker.walk(stretches, start))

    def _watched(self, frames: Iterator[Frame | Lost]) -> Iterator[Frame | Lost]:
        for frame in frames:
            self._work.looked(frame.time_s)
            yield frame

    def _outcome(self, event: Event) -> Outcome:
        return self._work.save(event) if isinstance(event, Kept) else event


def _moved(outcome: Outcome, later: int, last_kept_s: float | None) -> Outcome:
    """The same with shots counted from the video's beginning."""
    if isinstance(outcome, Shot):
        kept_s = last_kept_s if outcome.last_kept_s is None else outcome.last_kept_s
        return replace(outcome, number=outcome.number + later, last_kept_s=kept_s)
    if isinstance(outcome, Image):
        assert outcome.shot is not None
        return outcome.model_copy(update={"shot": outcome.shot + later})
    return outcome
