"""Scenes and portraits for the detector: drawn once, then windows of them at many sizes and aspects, disturbed like video.

dghs-imgutils squashes a frame to the detector's square input by default and keeps its aspect when asked to, so the
windows' aspects vary from squashed 16:9 to widened 2:3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from kyara_miniature.cast import make_character
from kyara_miniature.figure import random_view
from kyara_miniature.scene import Picture, draw_portrait, draw_scene
from kyara_miniature.train.augment import coarsen, compress, recolour
from kyara_miniature.train.crops import any_hand
from kyara_miniature.train.detector_net import CLASSES

WIDTH, HEIGHT = 640, 360
VISIBLE = 0.3
"""A box of which less than this share is left inside a window is dropped, as the scenes drop what is cut off."""
PERSON, HALFBODY, HEAD = (CLASSES.index(kind) for kind in ("person", "halfbody", "head"))


@dataclass(frozen=True)
class Scenes:
    """`pictures` [n, HEIGHT, WIDTH, 3] uint8; `boxes` [m, 7]: picture, class, x0, y0, x1, y1 in px, figure; by picture."""

    pictures: np.ndarray
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)

    def boxes_in(self, index: int) -> np.ndarray:
        """The boxes of one picture, [m, 6]: class, x0, y0, x1, y1, figure."""
        low, high = np.searchsorted(self.boxes[:, 0], [index, index + 1])
        return self.boxes[low:high, 1:]


def box_rows(picture: Picture) -> np.ndarray:
    """All boxes of a drawn picture as [m, 6]: class, x0, y0, x1, y1, figure."""
    rows = [
        [CLASSES.index(box.kind), box.x0, box.y0, box.x1, box.y1, number]
        for number, figure in enumerate(picture.figures)
        for box in figure.boxes
    ]
    return np.array(rows, dtype=np.float32).reshape(-1, 6)


def training_picture(seed: int) -> Picture:
    """A scene; every third time one figure that fills the picture, as in a close shot or on a card."""
    if seed % 3:
        return draw_scene(seed, width=WIDTH, height=HEIGHT)
    rng = np.random.default_rng([seed, 31])
    character, hand = make_character(seed), any_hand(rng, house=0.4)
    return draw_portrait(character, random_view(rng, character), width=WIDTH, height=HEIGHT, hand=hand, rng=rng)


def training_scenes(work: Path, count: int) -> Scenes:
    """`count` pictures of seeds 0 upwards, drawn once and kept in `work`."""
    path = work / f"scenes-{count}.npz"
    if not path.exists():
        pictures = [training_picture(seed) for seed in range(count)]
        rows = [np.insert(box_rows(picture), 0, index, axis=1) for index, picture in enumerate(pictures)]
        work.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".part").open("wb") as file:
            np.savez(file, pictures=np.stack([p.image for p in pictures]), boxes=np.concatenate(rows))
        path.with_suffix(".part").rename(path)
    with np.load(path) as arrays:
        return Scenes(**arrays)


def whole_frame(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Most of a scene, as (left, top, right, bottom); its aspect runs from a tall card's to the scene's own."""
    height = rng.uniform(0.7, 1.0) * HEIGHT
    width = height * np.exp(rng.uniform(np.log(0.6), np.log(WIDTH / HEIGHT)))
    left, top = rng.uniform(0, WIDTH - width), rng.uniform(0, HEIGHT - height)
    return left, top, left + width, top + height


def near_figure(rng: np.random.Generator, boxes: np.ndarray, size: int) -> tuple[float, float, float, float]:
    """A part of a scene around one of its persons, to be scaled to `size` no more than frames are at the detector's
    input (about 0.6 to 2.2 times); anywhere when nobody is there."""
    persons = boxes[boxes[:, 0] == PERSON, 1:5]
    tallest, smallest = min(size / 0.6, HEIGHT), size / 2.2
    if len(persons):
        x0, y0, x1, y1 = persons[rng.integers(len(persons))]
        height = float(np.clip((y1 - y0) * np.exp(rng.uniform(np.log(0.8), np.log(6))), smallest, tallest))
        middle = rng.uniform(x0, x1), rng.uniform(y0, y1)
    else:
        height = rng.uniform(smallest, tallest)
        middle = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)
    width = height * float(np.exp(rng.uniform(0, np.log(WIDTH / HEIGHT))))
    left = float(np.clip(middle[0] - width * rng.uniform(0.25, 0.75), 0, WIDTH - width))
    top = float(np.clip(middle[1] - height * rng.uniform(0.25, 0.75), 0, HEIGHT - height))
    return left, top, left + width, top + height


def window_of(
    picture: np.ndarray,
    boxes: np.ndarray,
    rng: np.random.Generator,
    size: int,
    frame: tuple[float, float, float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """The part `frame` of a scene, scaled to [size, size, 3] and mirrored or not, and the boxes seen in it, [m, 5]: class,
    x0, y0, x1, y1."""
    scaled = Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR, box=frame)
    scale = size / np.array([frame[2] - frame[0], frame[3] - frame[1]])
    moved = boxes[:, :5].copy()
    moved[:, 1:] = (moved[:, 1:] - np.tile(np.array(frame[:2]), 2)) * np.tile(scale, 2)
    area = (moved[:, 3] - moved[:, 1]) * (moved[:, 4] - moved[:, 2])
    moved[:, 1:] = moved[:, 1:].clip(0, size)
    left_over = (moved[:, 3] - moved[:, 1]) * (moved[:, 4] - moved[:, 2])
    pixels = np.asarray(scaled)
    seen = left_over >= VISIBLE * area
    # A person whose head is seen is seen, as in the scenes' own truth.
    heads = boxes[seen & (boxes[:, 0] == HEAD), 5]
    moved = moved[seen | (np.isin(boxes[:, 0], (PERSON, HALFBODY)) & np.isin(boxes[:, 5], heads))]
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
        moved[:, [1, 3]] = size - moved[:, [3, 1]]
    return pixels, moved


def draw_batch(scenes: Scenes, rng: np.random.Generator, count: int, size: int, *, near: bool) -> tuple[Tensor, list[np.ndarray]]:
    """`count` disturbed windows [count, 3, size, size] in 0..1, `near` figures or of whole frames, and their boxes."""
    windows, boxes = [], []
    for index in rng.integers(len(scenes), size=count):
        truth = scenes.boxes_in(int(index))
        frame = near_figure(rng, truth, size) if near else whole_frame(rng)
        pixels, rows = window_of(scenes.pictures[index], truth, rng, size, frame)
        windows.append(pixels)
        boxes.append(rows)
    batch = torch.from_numpy(np.stack(windows)).permute(0, 3, 1, 2).float().div_(255)
    batch = recolour(batch, rng, 1.5)
    for row in range(count):
        chance = rng.random()
        if chance < 0.2:
            batch[row] = coarsen(batch[row], rng)
        elif chance < 0.4:
            batch[row] = compress(batch[row], rng)
    return batch, boxes
