"""Crops of drawn figures, cut and disturbed the way that a pipeline would: batches for CCIP and the tagger.

Everything is drawn from one numpy generator, so a batch depends on the seed and the step alone.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

PERSON, HALFBODY, HEAD, WHOLE = 0, 1, 2, 3
"""What a crop shows: the box kinds of a figure (as in `crops.KINDS`), or the whole picture."""


@dataclass(frozen=True)
class Cut:
    """Where to cut and what the cut shows: `window` [n, 4] (x0, y0, x1, y1 in 0..1 of the canvas), `kind` [n]."""

    window: np.ndarray
    kind: np.ndarray


def choose_cuts(rng: np.random.Generator, boxes: np.ndarray, shares: tuple[float, float, float, float]) -> Cut:
    """For each figure's boxes [n, 4 kinds, 4] (0..1, nan where hidden) one loose, off-centre cut.

    `shares` are the odds of person, half body, head and whole picture; a hidden kind becomes the whole picture.
    """
    count = len(boxes)
    kind = rng.choice(4, size=count, p=shares)
    window = np.tile(np.array([0.0, 0.0, 1.0, 1.0]), (count, 1))
    for row in range(count):
        if kind[row] == WHOLE or np.isnan(boxes[row, kind[row]]).any():
            kind[row] = WHOLE
            edge = rng.uniform(-0.02, 0.1, size=4) * rng.integers(0, 2)
            window[row] += edge * np.array([1, 1, -1, -1])
            continue
        x0, y0, x1, y1 = boxes[row, kind[row]]
        size = np.array([x1 - x0, y1 - y0])
        grow = rng.normal(0.05, 0.06, size=4).clip(-0.1, 0.3) * np.tile(size, 2)
        window[row] = np.array([x0, y0, x1, y1]) + grow * np.array([-1, -1, 1, 1])
    return Cut(window, kind)


def cut_out(
    pictures: np.ndarray, cut: Cut, rng: np.random.Generator, size: int, *, keep_aspect: bool, turn: float = 0.12
) -> Tensor:
    """The cuts of `pictures` [n, s, s, 3] uint8 as [n, 3, size, size] in 0..1, mirrored and turned at random.

    `keep_aspect` pads the short side with white (the tagger's way); otherwise the cut is squashed (CCIP's way).
    """
    count = len(pictures)
    images = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float().div_(255.0)
    x0, y0, x1, y1 = cut.window.T
    width, height = x1 - x0, y1 - y0
    if keep_aspect:
        inner_x, inner_y = np.maximum(width, height) / width, np.maximum(width, height) / height
    else:
        inner_x = inner_y = np.ones(count)
    flip = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    angle = rng.normal(0, turn / 2, size=count) * (rng.random(count) < 0.5)
    cos, sin = np.cos(angle), np.sin(angle)
    span_x, span_y = width * inner_x, height * inner_y
    theta = np.stack(
        [
            np.stack([span_x * flip * cos, -span_x * sin, x0 + x1 - 1], axis=-1),
            np.stack([span_y * flip * sin, span_y * cos, y0 + y1 - 1], axis=-1),
        ],
        axis=1,
    )
    grid = F.affine_grid(torch.from_numpy(theta).float(), [count, 3, size, size], align_corners=False)
    crops = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    if keep_aspect:
        line = (torch.arange(size).float() + 0.5) / size * 2 - 1
        inside_x = line.abs()[None, :] <= torch.from_numpy(1 / inner_x).float()[:, None]
        inside_y = line.abs()[None, :] <= torch.from_numpy(1 / inner_y).float()[:, None]
        inside = (inside_y[:, None, :, None] & inside_x[:, None, None, :]).float()
        crops = crops * inside + (1 - inside)
    return crops


def disturb(crops: Tensor, rng: np.random.Generator, *, strength: float = 1.0) -> Tensor:
    """Other light and palette, low resolution, blur, compression, grain and things in front; changes `crops`."""
    count = len(crops)
    crops = recolour(crops, rng, strength)
    for row in range(count):
        if rng.random() < 0.3 * strength:
            cover(crops[row], rng)
        chance = rng.random()
        if chance < 0.3 * strength:
            crops[row] = coarsen(crops[row], rng)
        elif chance < 0.5 * strength:
            crops[row] = compress(crops[row], rng)
    grain = torch.from_numpy(rng.uniform(0, 0.04, size=count) * (rng.random(count) < 0.3)).float()
    noise = torch.from_numpy(rng.standard_normal(crops.shape, dtype=np.float32))
    return crops.add_(noise * grain[:, None, None, None]).clamp_(0, 1)


def recolour(crops: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Brightness, contrast, saturation, gain of each channel and gamma, each a little; hue is part of who one is."""
    count = len(crops)

    def around(width: float, channels: int = 1) -> Tensor:
        values = 1 + rng.normal(0, width * strength, size=(count, channels, 1, 1)).clip(-2.5 * width, 2.5 * width)
        return torch.from_numpy(values).float()

    mean = crops.mean(dim=(2, 3), keepdim=True)
    crops = (crops - mean) * around(0.1) + mean * around(0.08)
    grey = crops.mean(dim=1, keepdim=True)
    crops = (crops - grey) * around(0.12) + grey
    crops = (crops * around(0.03, 3)).clamp(1e-4, 1)
    return crops.pow(around(0.12))


def cover(crop: Tensor, rng: np.random.Generator) -> None:
    """Hide a rectangle of `crop` [3, h, w] in place behind one colour, or behind another part of the picture."""
    _, height, width = crop.shape
    h, w = int(height * rng.uniform(0.1, 0.4)), int(width * rng.uniform(0.1, 0.4))
    y, x = int(rng.integers(0, height - h)), int(rng.integers(0, width - w))
    if rng.random() < 0.5:
        crop[:, y : y + h, x : x + w] = torch.from_numpy(rng.random((3, 1, 1), dtype=np.float32))
    else:
        v, u = int(rng.integers(0, height - h)), int(rng.integers(0, width - w))
        crop[:, y : y + h, x : x + w] = crop[:, v : v + h, u : u + w].clone()


def coarsen(crop: Tensor, rng: np.random.Generator) -> Tensor:
    """`crop` as if it had been drawn at a low resolution and enlarged, which also is a blur."""
    size = crop.shape[-1]
    low = int(size * rng.uniform(0.3, 0.8))
    small = F.interpolate(crop[None], size=(low, low), mode="bilinear", antialias=True)
    return F.interpolate(small, size=(size, size), mode="bilinear" if rng.random() < 0.8 else "nearest")[0]


def compress(crop: Tensor, rng: np.random.Generator) -> Tensor:
    """`crop` after JPEG at a quality of 20 to 75, whose blocks resemble those of video."""
    picture = Image.fromarray((crop.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    buffer = io.BytesIO()
    picture.save(buffer, "jpeg", quality=int(rng.integers(20, 75)))
    decoded = np.asarray(Image.open(buffer), dtype=np.float32) / 255
    return torch.from_numpy(decoded).permute(2, 0, 1)
