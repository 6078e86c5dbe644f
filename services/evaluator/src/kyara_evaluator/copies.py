"""Whether a save draws the character, or the pictures that it was trained on.

A preview is compared with the pictures by its layout, as a small greyscale picture, not by whom it shows. How near a picture may
come to another without being a copy the dataset itself says: each of its pictures, held back in its turn, has a nearest among the
others. Short of copies, a save that learnt its pictures and not the character draws what is nearer to them than to the pictures
that its training held back.
"""

import math

import numpy as np
import PIL.Image

SIDE = 16
"""Px of the small picture."""
NEAREST = 0.95
"""The quantile of the dataset's own nearest neighbours past which a preview is a copy."""
LEAST = 0.8
"""Correlation that a copy has at least, however unlike one another a few pictures are."""
CHANCE_SD = 2.0
"""Standard deviations above what is expected that are still chance."""


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


def memorised(nearest: np.ndarray, of_base: np.ndarray, trained: np.ndarray) -> float:
    """How much more often than by chance previews' nearest pictures are ones that were trained on, 0..1; nan where nothing tells.

    `nearest` [n] and `of_base` [k] are places among the pictures of a save's previews and the base model's; `trained` [m] says
    which of them the save was trained on. Who learnt the character knows nothing of which pictures were held back: it comes
    nearest to one that was trained on as often as such are in the dataset, or as the base model does, which saw none. Two
    standard deviations of chance do not count, for few previews, or few pictures held back, tell little.
    """
    if not len(nearest) or trained.all() or not trained.any():
        return float("nan")
    chance = max(float(trained.mean()), float(trained[of_base].mean()) if len(of_base) else 0.0)
    if chance == 1:
        return float("nan")
    noise = CHANCE_SD * math.sqrt(chance * (1 - chance) / len(nearest))
    return max(0.0, float(trained[nearest].mean()) - chance - noise) / (1 - chance)


def diversity(previews: np.ndarray) -> float:
    """How unlike one another [n, SIDE²] layouts are, 0 all the same .. about 1 nothing in common; nan for fewer than two."""
    if len(previews) < 2:
        return float("nan")
    alike = previews @ previews.T
    return float(1 - alike[~np.eye(len(previews), dtype=bool)].mean())
