"""Which tags a cut of a picture still shows: a head has no skirt, and says nothing of what is worn."""

from __future__ import annotations

import numpy as np

from kyara_miniature.tags import BACKGROUND_TAGS, EYE_TAGS, FRAMING_TAGS, OUTFIT_TAGS, POSE_TAGS, TAGS

PERSON, HALFBODY, HEAD, WHOLE = 0, 1, 2, 3


def columns(*tags: str) -> np.ndarray:
    """[len(TAGS)] bool: which columns are those of `tags`."""
    return np.array([tag in tags for tag in TAGS])


FRAMING = columns(*FRAMING_TAGS)
SURROUNDINGS = columns(*BACKGROUND_TAGS)
COMPANY = columns("solo", "multiple_girls")
CLOTHES = columns(*OUTFIT_TAGS)
LOWER = columns("pleated_skirt", "apron")
POSES = columns(*POSE_TAGS)
EYES = columns(*EYE_TAGS)


def labels_of(tags: np.ndarray, kind: np.ndarray, framed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tags [n, t] of whole pictures -> (tags shown by the cuts of `kind` [n], which of them count), both bool.

    Closed eyes have no colour. What cannot be said for sure counts neither way: clothes and poses at the edge of a cut,
    the surroundings of a crop, and the clothes, pose and framing of a figure cut from a scene (`framed` false), whose
    border may hide them.
    """
    shown, counts = tags.copy(), np.ones_like(tags)
    head, half, part, found = kind == HEAD, kind == HALFBODY, kind != WHOLE, ~framed
    shown[np.ix_(tags[:, columns("closed_eyes")].any(axis=1), EYES)] = False
    shown[np.ix_(head, FRAMING | CLOTHES | POSES)] = False
    shown[np.ix_(head, columns("portrait"))] = True
    counts[np.ix_(head, (CLOTHES & ~LOWER) | POSES)] = False
    cut_half = half & ~tags[:, columns("portrait")].any(axis=1)
    shown[np.ix_(cut_half, FRAMING)] = False
    shown[np.ix_(cut_half, columns("upper_body"))] = True
    counts[np.ix_(half, LOWER | POSES)] = False
    counts[np.ix_(part | found, SURROUNDINGS)] = False
    counts[np.ix_(found, CLOTHES | POSES | COMPANY)] = False
    counts[np.ix_(found & ~head & ~half, FRAMING)] = False
    shown[np.ix_(part & framed, columns("solo"))] = True
    return shown, counts
