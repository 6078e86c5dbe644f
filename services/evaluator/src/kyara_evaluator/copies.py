"""Whether a save draws the character, or the pictures that it was trained on.

A preview is compared with the pictures by its layout, as a small greyscale picture, not by whom it shows. How near a picture may
come to another without being a copy the dataset itself says: each of its pictures, held back in its turn, has a nearest among the
others.
"""

import numpy as np
import PIL.Image

SIDE = 16
"""Px of the small picture."""
NEAREST = 0.95
"""The quantile of the dataset's own nearest neighbours past which a preview is a copy."""
LEAST = 0.8
"""Correlation that a copy has at least, however unlike one another a few pictures are."""


def layout_of(picture: PIL.Image.Image) -> np.ndarray:
    """[SIDE²] float32 of length 1: the picture's luma, squeezed, without its mean."""
    small = np.asarray(picture.convert("L").resize((SIDE, SIDE), PIL.Image.Resampling.BOX), dtype=np.float32).ravel()
    small -= small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-6)


def nearest_of(previews: np.ndarray, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each of [n, SIDE²] layouts the place of the most alike of [m, SIDE²], and their correlation, -1..1."""
    alike = previews @ pictures.T
    places = alike.argmax(axis=1)
    return places, alike[np.arange(len(previews)), places]


def copy_limit(pictures: np.ndarray) -> float:
    """The correlation from which a preview is a copy of one of the [m, SIDE²] layouts."""
    if len(pictures) < 2:
        return LEAST
    alike = pictures @ pictures.T
    np.fill_diagonal(alike, -1.0)
    return max(LEAST, float(np.quantile(alike.max(axis=1), NEAREST)))


def diversity(previews: np.ndarray) -> float:
    """How unlike one another [n, SIDE²] layouts are, 0 all the same .. about 1 nothing in common; nan for fewer than two."""
    if len(previews) < 2:
        return float("nan")
    alike = previews @ previews.T
    return float(1 - alike[~np.eye(len(previews), dtype=bool)].mean())
