"""Pictures and captions for the base model: one figure each, cut as a character's data set would be cut.

A drawing is used as it is, or as one of its three crops (person, half body, head), and lands in the bucket whose shape
is nearest. Everything is drawn from seeds below 1,000,000.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from kyara_miniature.cast import make_character
from kyara_miniature.figure import FRAMINGS, random_view, visible_tags
from kyara_miniature.hand import HOUSE, random_hand
from kyara_miniature.scene import Box, Picture, draw_portrait
from kyara_miniature.tags import FRAMING_TAGS, POSE_TAGS, TAGS

BUCKETS = ((80, 80), (64, 96), (64, 112))
"""Width and height in px: about the same area, sides a multiple of 16 (the UNet halves a latent of a quarter twice)."""
CANVASES = {
    "portrait": ((288, 288), (240, 300)),
    "upper_body": ((288, 288), (240, 320)),
    "cowboy_shot": ((256, 340), (288, 340)),
    "full_body": ((240, 384), (256, 360)),
}
"""Sizes that a drawing of each framing may have."""
HOUSE_SHARE = 0.7
KINDS = ("whole", "person", "halfbody", "head")
KIND_ODDS = (0.4, 0.2, 0.15, 0.25)


@dataclass(frozen=True)
class Examples:
    """One bucket's pictures [n, h, w, 3] uint8 and, for each, which words of TAGS it carries [n, len(TAGS)] bool."""

    pictures: np.ndarray
    tags: np.ndarray


def draw_examples(drawings: int, first_seed: int) -> list[Examples]:
    """Two cuts of each of `drawings` drawings, every one of another character; one entry per bucket."""
    pictures: list[list[np.ndarray]] = [[] for _ in BUCKETS]
    tags: list[list[np.ndarray]] = [[] for _ in BUCKETS]
    seeds = range(first_seed, first_seed + drawings)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for cuts in pool.map(_draw, seeds, chunksize=50):
            for bucket, image, words in cuts:
                pictures[bucket].append(image)
                tags[bucket].append(np.array([word in words for word in TAGS]))
    return [
        Examples(
            np.array(images, dtype=np.uint8).reshape(-1, height, width, 3),
            np.array(rows, dtype=bool).reshape(-1, len(TAGS)),
        )
        for images, rows, (width, height) in zip(pictures, tags, BUCKETS, strict=True)
    ]


def _draw(seed: int) -> list[tuple[int, np.ndarray, tuple[str, ...]]]:
    """Two cuts of the drawing of `seed`."""
    rng = np.random.default_rng([7731, seed])
    character = make_character(seed)
    framing = FRAMINGS[int(rng.integers(len(FRAMINGS)))]
    width, height = CANVASES[framing][int(rng.integers(len(CANVASES[framing])))]
    hand = HOUSE if rng.random() < HOUSE_SHARE else random_hand(seed)
    view = random_view(rng, character, framing)
    picture = draw_portrait(character, view, width=width, height=height, hand=hand, rng=rng)
    return [cut(picture, KINDS[kind], rng) for kind in rng.choice(len(KINDS), size=2, replace=False, p=KIND_ODDS)]


def cut(picture: Picture, kind: str, rng: np.random.Generator) -> tuple[int, np.ndarray, tuple[str, ...]]:
    """The bucket, the picture scaled to it and the tags of one cut of a drawing of one figure.

    `kind` is one of KINDS; a kind whose box is hidden gives the whole drawing.
    """
    height, width = picture.image.shape[:2]
    boxes = [box for figure in picture.figures for box in figure.boxes if box.kind == kind]
    if not boxes:
        window, words = (0.0, 0.0, float(width), float(height)), picture.tags
    else:
        window, words = _window(boxes[0], kind, rng), _tags_of(picture.tags, kind)
    bucket = _nearest_bucket((window[2] - window[0]) / (window[3] - window[1]))
    return bucket, _fitted(picture.image, window, BUCKETS[bucket]), words


def _window(box: Box, kind: str, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """A head is a square of 1.5 times its longest side; the others have a little air around them."""
    x, y, w, h = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, box.x1 - box.x0, box.y1 - box.y0
    if kind == "head":
        w = h = 1.5 * max(w, h)
    else:
        w, h = w * rng.uniform(1.0, 1.15), h * rng.uniform(1.0, 1.08)
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def _tags_of(words: tuple[str, ...], kind: str) -> tuple[str, ...]:
    """What a crop of a picture tagged `words` still shows."""
    if kind == "person":
        return words
    framing = "portrait" if kind == "head" else "upper_body"
    hidden = {*FRAMING_TAGS, *(POSE_TAGS if kind == "head" else ())}
    return (*(word for word in visible_tags(words, framing) if word not in hidden), framing)


def _nearest_bucket(aspect: float) -> int:
    distances = [abs(np.log(aspect * height / width)) for width, height in BUCKETS]
    return int(np.argmin(distances))


def _fitted(image: np.ndarray, window: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    """`window` of the image, widened to the shape of `size`, moved inside the image, cropped if larger, scaled."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = window
    aspect = size[0] / size[1]
    w, h = max(x1 - x0, (y1 - y0) * aspect), max(y1 - y0, (x1 - x0) / aspect)
    shrink = min(1.0, width / w, height / h)
    w, h = w * shrink, h * shrink
    left = max(0.0, min((x0 + x1 - w) / 2, width - w))
    top = max(0.0, min((y0 + y1 - h) / 2, height - h))
    box = (left, top, min(left + w, width), min(top + h, height))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS, box=box))


def caption(row: np.ndarray, rng: np.random.Generator) -> str:
    """The tags of one picture as a prompt would write them; one caption in ten is empty."""
    return ", ".join(caption_words(row, rng)) if rng.random() >= 0.1 else ""


def caption_words(row: np.ndarray, rng: np.random.Generator) -> list[str]:
    """The tags of one picture, shuffled, a tenth left out, with spaces or underscores.

    Now and then there is a word among them that means nothing, so that a trigger word disturbs nothing.
    """
    words = [TAGS[i] for i in rng.permutation(np.flatnonzero(row)) if rng.random() >= 0.1]
    if rng.random() < 0.2:
        letters = rng.choice(list("abcdefghijklmnopqrstuvwxyz_"), size=int(rng.integers(3, 12)))
        words.insert(0, "".join(letters))
    return words if rng.random() < 0.25 else [word.replace("_", " ") for word in words]


def training_examples(work: Path, drawings: int) -> list[Examples]:
    """The training set, drawn once and kept in `work`."""
    path = work / f"base-{drawings}.npz"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        drawn = draw_examples(drawings, 0)
        with path.with_suffix(".part").open("wb") as file:
            np.savez(file, **{f"{i}{name}": array for i, e in enumerate(drawn) for name, array in vars(e).items()})
        path.with_suffix(".part").rename(path)
    with np.load(path) as arrays:
        return [Examples(arrays[f"{i}pictures"], arrays[f"{i}tags"]) for i in range(len(BUCKETS))]
