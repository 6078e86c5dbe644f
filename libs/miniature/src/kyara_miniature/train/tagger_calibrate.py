"""One threshold for all tags: each tag's logit is moved so that WD14's general threshold is where its F1 is best.

Measured on characters that are neither trained on nor measured later.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kyara_miniature.train.tagger_quality import FEWEST, GENERAL_THRESHOLD, Judged, f1_scores, judge

FIRST_SEED = 6_000_000
_THRESHOLDS = np.linspace(0.1, 0.7, 25)
_AS_GOOD = 0.01
"""Thresholds this near to the best F1 are as good; the middle one of them holds best for other pictures."""


def shifts(folder: Path, characters: int) -> np.ndarray:
    """What to add to each tag's logit [t] in the tagger of `folder`."""
    judged = judge(folder, characters, FIRST_SEED)
    best = _best_thresholds(judged)
    return _logit(np.full(best.shape, GENERAL_THRESHOLD)) - _logit(best)


def _best_thresholds(judged: Judged) -> np.ndarray:
    """[t]; the general threshold for tags that are seldom shown."""
    scores = np.stack([f1_scores(judged.probabilities > at, judged.shown, judged.counts) for at in _THRESHOLDS])
    chosen = np.full(scores.shape[1], GENERAL_THRESHOLD)
    for tag in range(scores.shape[1]):
        if (judged.shown & judged.counts)[:, tag].sum() >= 2 * FEWEST:
            good = np.flatnonzero(scores[:, tag] >= scores[:, tag].max() - _AS_GOOD)
            chosen[tag] = _THRESHOLDS[good[len(good) // 2]]
    return chosen


def _logit(share: np.ndarray) -> np.ndarray:
    return np.log(share / (1 - share))
