"""Drawn figures of many characters with their boxes and tags: what CCIP and the tagger learn from.

Half of the pictures show one figure framed on purpose, half are cut from scenes, where figures are far, cut by the
border or hidden by others. The hand changes from picture to picture, so that who is drawn counts and not how.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from kyara_miniature.cast import Character, look_alike, make_character
from kyara_miniature.figure import random_view
from kyara_miniature.hand import HOUSE, Hand, random_hand
from kyara_miniature.scene import FigureTruth, Picture, draw_portrait, draw_scene
from kyara_miniature.tags import TAGS

KINDS = ("person", "halfbody", "head", "face")
CANVAS = 176
HIDDEN = np.full((len(KINDS), 4), np.nan, dtype=np.float32)
"""The boxes of a figure that is not seen."""
LOOK_ALIKE_SHARE = 0.2
OTHERS = 100_000
"""Seeds of the characters of `more_portraits`."""
FRAMED, SCENES = 5, 3
"""Portraits, and figures cut from scenes, of each character in the training set."""


@dataclass(frozen=True)
class Crops:
    """`pictures` [n, CANVAS, CANVAS, 3] uint8, `boxes` [n, 4 kinds, 4] in 0..1 (nan where hidden), `who` [n] (a
    character's number), `tags` [n, len(TAGS)] bool, `framed` [n] bool (drawn as a portrait, not cut from a scene)."""

    pictures: np.ndarray
    boxes: np.ndarray
    who: np.ndarray
    tags: np.ndarray
    framed: np.ndarray

    def __len__(self) -> int:
        return len(self.who)


def make_cast(count: int, first_seed: int) -> list[Character]:
    """`count` characters, one in five of them the look-alike of the one before."""
    cast: list[Character] = []
    for index in range(count):
        seed = first_seed + index
        if index % round(1 / LOOK_ALIKE_SHARE) == 1:
            cast.append(look_alike(cast[-1], seed))
        else:
            cast.append(make_character(seed))
    return cast


def draw_crops(cast: Sequence[Character], seed: int, *, framed: int, scenes: int, house: float = 0.35) -> Crops:
    """`framed` portraits of each character and about `scenes` figures of each from scenes of three.

    `house` is the share of pictures in the house's hand; every other picture has a hand of its own.
    """
    rng = np.random.default_rng([seed, 11])
    rows: list[tuple[np.ndarray, np.ndarray, int, np.ndarray, bool]] = []
    for who, character in enumerate(cast):
        for _ in range(framed):
            picture = draw_framed(character, rng, any_hand(rng, house))
            # A close portrait shows so little of the person that it may have no boxes; it is used whole then.
            boxes = boxes_of(picture.figures[0], 0, 0, CANVAS) if picture.figures else HIDDEN
            rows.append((picture.image, boxes, who, row_of(picture.tags), True))
    numbers = {character.identity: who for who, character in enumerate(cast)}
    for _ in range(scenes * len(cast) // 3):
        chosen = [cast[i] for i in rng.permutation(len(cast))[:3]]
        hand = any_hand(rng, house)
        picture = draw_scene(int(rng.integers(1 << 30)), width=640, height=360, cast=chosen, hand=hand, figures=3)
        for figure in picture.figures:
            if figure.height_px >= 56 and any(box.kind == "person" for box in figure.boxes):
                image, boxes = cut_figure(picture.image, figure, rng)
                rows.append((image, boxes, numbers[figure.identity], row_of(figure.tags), False))
    pictures, boxes, who_rows, tags, kinds = zip(*rows, strict=True)
    return Crops(np.stack(pictures), np.stack(boxes), np.array(who_rows), np.stack(tags), np.array(kinds))


def any_hand(rng: np.random.Generator, house: float) -> Hand:
    """The house's hand with the odds `house`, otherwise a random one."""
    seed = int(rng.integers(1 << 30))
    return HOUSE if rng.random() < house else random_hand(seed)


def draw_framed(character: Character, rng: np.random.Generator, hand: Hand, size: int = CANVAS) -> Picture:
    """One figure in a framing by chance, on a square picture of `size`."""
    return draw_portrait(character, random_view(rng, character), width=size, height=size, hand=hand, rng=rng)


def cut_figure(image: np.ndarray, figure: FigureTruth, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A square around a figure's person box (beyond the border: white), scaled to the canvas, and its boxes."""
    person = next(box for box in figure.boxes if box.kind == "person")
    side = max(person.x1 - person.x0, person.y1 - person.y0) * rng.uniform(1.05, 1.3)
    left = (person.x0 + person.x1 - side) / 2
    top = (person.y0 + person.y1 - side) / 2
    window = (round(left), round(top), round(left + side), round(top + side))
    height, width = image.shape[:2]
    margin = [max(0, -window[1]), max(0, window[3] - height)], [max(0, -window[0]), max(0, window[2] - width)]
    inside = image[max(0, window[1]) : window[3], max(0, window[0]) : window[2]]
    square = Image.fromarray(np.pad(inside, (*margin, (0, 0)), constant_values=255))
    scaled = np.asarray(square.resize((CANVAS, CANVAS), Image.Resampling.BILINEAR))
    return scaled, boxes_of(figure, window[0], window[1], window[2] - window[0])


def boxes_of(figure: FigureTruth, left: float, top: float, side: float) -> np.ndarray:
    """The boxes of `figure` by kind [4, 4], in 0..1 of a square window; nan for those that cannot be seen."""
    boxes = HIDDEN.copy()
    for box in figure.boxes:
        corners = np.array([box.x0 - left, box.y0 - top, box.x1 - left, box.y1 - top]) / side
        boxes[KINDS.index(box.kind)] = corners.clip(0, 1)
    return boxes


def row_of(tags: Sequence[str]) -> np.ndarray:
    """Which words of TAGS are among `tags`, [len(TAGS)] bool."""
    return np.array([tag in tags for tag in TAGS])


def training_crops(work: Path, characters: int) -> Crops:
    """What CCIP learns from: the same characters many times, in portraits and scenes; drawn once, kept in `work`."""
    return kept(work / f"crops-{characters}.npz", make_cast(characters, 0), framed=FRAMED, scenes=SCENES)


def more_portraits(work: Path, characters: int) -> Crops:
    """Two portraits each of `characters` that `training_crops` does not know; drawn once, kept in `work`."""
    return kept(work / f"portraits-{characters}.npz", make_cast(characters, OTHERS), framed=2, scenes=0)


def kept(path: Path, cast: Sequence[Character], *, framed: int, scenes: int) -> Crops:
    """The crops of `cast` that `draw_crops` makes, from `path` if they were drawn before."""
    if not path.exists():
        crops = draw_crops(cast, 1, framed=framed, scenes=scenes)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".part").open("wb") as file:
            np.savez(file, **vars(crops))
        path.with_suffix(".part").rename(path)
    with np.load(path) as arrays:
        return Crops(**arrays)


def joined(first: Crops, second: Crops) -> Crops:
    """Both sets as one; the characters of the second are numbered after those of the first."""
    return Crops(
        pictures=np.concatenate([first.pictures, second.pictures]),
        boxes=np.concatenate([first.boxes, second.boxes]),
        who=np.concatenate([first.who, second.who + first.who.max() + 1]),
        tags=np.concatenate([first.tags, second.tags]),
        framed=np.concatenate([first.framed, second.framed]),
    )
