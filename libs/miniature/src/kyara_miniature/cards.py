"""Title card and rolling credits. Letters are strokes of our own, so that no font need be installed."""

from functools import lru_cache

import numpy as np
import PIL.Image
import PIL.ImageDraw

INK, PAPER, ACCENT = (245, 243, 238), (28, 30, 48), (240, 120, 140)
# Strokes on a grid of 4 x 6.
LETTERS = {
    "K": [[(0, 0), (0, 6)], [(4, 0), (0, 3.4), (4, 6)]],
    "Y": [[(0, 0), (2, 3), (4, 0)], [(2, 3), (2, 6)]],
    "A": [[(0, 6), (2, 0), (4, 6)], [(0.8, 4), (3.2, 4)]],
    "R": [[(0, 6), (0, 0), (3.4, 0.4), (3.4, 2.8), (0, 3)], [(1.6, 3), (4, 6)]],
}


@lru_cache(maxsize=2)
def draw_title(width: int, height: int, seed: int) -> PIL.Image.Image:
    """A title card."""
    card = PIL.Image.new("RGB", (width, height), PAPER)
    draw = PIL.ImageDraw.Draw(card)
    unit = height / 30
    left = width / 2 - unit * (5 * 5.5 - 1.5) / 2
    for place, letter in enumerate("KYARA"):
        for stroke in LETTERS[letter]:
            points = [(left + (place * 5.5 + x) * unit, height * 0.38 + y * unit) for x, y in stroke]
            draw.line(points, INK, int(unit * 0.6), joint="curve")
    rng = np.random.default_rng(seed)
    _words(draw, rng, width / 2, height * 0.66, unit * 0.8, words=4, colour=ACCENT)
    return card


def draw_credits(width: int, height: int, seed: int, progress: float) -> PIL.Image.Image:
    """Credits, rolled up by `progress` 0..1."""
    card = PIL.Image.new("RGB", (width, height), (0, 0, 0))
    draw = PIL.ImageDraw.Draw(card)
    rng = np.random.default_rng(seed)
    unit = height / 40
    for line in range(24):
        y = height * (0.9 - progress * 1.3) + line * unit * 2.6
        _words(draw, rng, width / 2, y, unit * (0.7 if line % 4 else 1.0), words=int(rng.integers(1, 4)), colour=INK)
    return card


def _words(
    draw: PIL.ImageDraw.ImageDraw,
    rng: np.random.Generator,
    centre: float,
    y: float,
    size: float,
    words: int,
    colour: tuple[int, int, int],
) -> None:
    """A line of made-up writing: small upright strokes in groups."""
    lengths = rng.integers(3, 9, words)
    x = centre - (lengths.sum() + words - 1) * size / 2
    for length in lengths:
        for _ in range(length):
            kind = rng.random()
            draw.line([(x, y), (x, y + size)], colour, max(1, int(size / 5)))
            draw.line([(x, y + size * (kind > 0.5)), (x + size * 0.6, y + size * kind)], colour, max(1, int(size / 5)))
            x += size
        x += size
