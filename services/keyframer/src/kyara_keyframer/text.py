"""Frames that show nothing but writing: credits, title cards."""

import numpy as np

TEXT_SIZE = (480, 270)
"""Width and height in px at which writing is looked for, whatever the frame's shape."""
_PAPER_LEVELS, _INK_LEVELS = 14, 40
_LEAST_PAPER, _LEAST_INK, _MOST_HALFTONE = 0.6, 0.002, 2.0
_STROKE_PX, _MOST_SOLID = 9, 4
_HIGHEST_LINE = 0.25
_LEAST_STROKES = 6.0


def is_text_only(luma: np.ndarray) -> bool:
    """Whether a frame, uint8 luma [270, 480], is lines of text over one flat colour, and nothing else.

    Writing is told from drawing by what all writing shares: thin strokes, many in a row, in lines that are low and
    apart. A figure, even one in outlines, fills an area or goes on from row to row. In doubt it is no text.
    """
    levels = np.bincount(luma.ravel(), minlength=256)
    distance = np.abs(luma.astype(np.int16) - int(levels.argmax()))
    if (distance <= _PAPER_LEVELS).mean() < _LEAST_PAPER:
        return False
    ink = distance > _INK_LEVELS
    inked = ink.sum()
    halftone = (distance > _PAPER_LEVELS).sum() - inked
    if inked < _LEAST_INK * ink.size or halftone > _MOST_HALFTONE * inked or _solid(ink) > _MOST_SOLID:
        return False
    return _highest_line(ink) <= _HIGHEST_LINE * len(ink) and _strokes_a_row(ink) >= _LEAST_STROKES


def _solid(ink: np.ndarray) -> int:
    """How many squares of `_STROKE_PX` are nothing but ink."""
    sums = np.pad(ink.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    side = _STROKE_PX
    squares = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return int((squares == side * side).sum())


def _highest_line(ink: np.ndarray) -> int:
    """The most rows with ink that follow one another."""
    gaps = np.flatnonzero(np.concatenate(([True], ~ink.any(1), [True])))
    return int(np.diff(gaps).max()) - 1


def _strokes_a_row(ink: np.ndarray) -> float:
    """How many strokes a row crosses, of the rows with ink in the mean."""
    strokes = (np.diff(np.pad(ink, ((0, 0), (1, 0))).astype(np.int8), axis=1) == 1).sum(1)
    return float(strokes[ink.any(1)].mean())
