"""Where one shot ends and the next begins."""

from collections import deque
from statistics import median

from kyara_keyframer.looks import Thumbnail, difference

_SAME_DRAWING = 0.5
_LEAST_JUMP = 9.0
_JUMP_OVER_USUAL = 3.5
_CERTAIN_JUMP = 45.0
_REMEMBERED = 12


class CutDetector:
    """Sees thumbnails in order and tells a cut from motion.

    A cut is a jump between drawings far above what this shot has shown so far (the idea of adaptive detection in
    PySceneDetect), so that a pan or a fight does not fall apart. Anime repeats each drawing two or three times;
    repeats say nothing about motion and are left out. All memory is of the present shot: after a cut the
    detector is as new, which makes a shot's first frame a place to go on from.
    """

    def __init__(self) -> None:
        self._last: Thumbnail | None = None
        self._motion: deque[float] = deque(maxlen=_REMEMBERED)

    def is_cut(self, seen: Thumbnail, skipped: bool) -> bool:
        """Whether a new shot begins with `seen`; true for the very first. `skipped`: frames before it were not seen."""
        last, self._last = self._last, seen
        if last is None:
            return True
        jump = difference(last, seen)
        if skipped:
            # What moved meanwhile is no measure of motion from frame to frame.
            self._motion.clear()
            return jump > _LEAST_JUMP
        if jump < _SAME_DRAWING:
            return False
        usual = median(self._motion) if self._motion else 0.0
        if jump > _CERTAIN_JUMP or jump > max(_LEAST_JUMP, _JUMP_OVER_USUAL * usual):
            self._motion.clear()
            return True
        self._motion.append(jump)
        return False
