"""What the detector is trained to do: which point answers for which box, and how wrong it is.

Scores learn the overlap that the point's own box reaches (as in Li et al. 2020, https://arxiv.org/abs/2006.04388, but
without the focus, which learns too slowly for so short a training); boxes by generalised IoU
(https://arxiv.org/abs/1902.09630).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kyara_miniature.train.detector_net import CLASSES, STRIDES

LEVELS = ((0.0, 72.0), (48.0, 176.0), (128.0, 320.0), (240.0, 1e9))
"""Longest sides in px that each stride answers for; they overlap, so that no size falls between two levels."""
SMALLEST = 4.0
"""A box with a shorter side than this, in px, is neither asked for nor forbidden."""
BOX_WEIGHT = 4.0
RADIUS = 1.0
"""Points within this many strides of a box's centre answer for it."""


def assign(boxes: list[np.ndarray], height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets of a batch: for each picture boxes [m, 5] (class, x0, y0, x1, y1 in px) -> which box each point answers
    for, as corner boxes [b, classes, n, 4], and roles [b, classes, n]: 1 a box's, 0 background, -1 left alone."""
    points, strides, lows, highs = [], [], [], []
    for stride, (low, high) in zip(STRIDES, LEVELS, strict=True):
        y, x = np.mgrid[0 : height // stride, 0 : width // stride]
        points.append(np.stack([x, y], axis=-1).reshape(-1, 2) * stride + stride / 2)
        count = len(points[-1])
        strides.append(np.full(count, stride))
        lows.append(np.full(count, low))
        highs.append(np.full(count, high))
    place, stride_of = np.concatenate(points), np.concatenate(strides)
    low_of, high_of = np.concatenate(lows), np.concatenate(highs)
    corners = np.zeros((len(boxes), len(CLASSES), len(place), 4), dtype=np.float32)
    roles = np.zeros((len(boxes), len(CLASSES), len(place)), dtype=np.float32)
    for picture, rows in enumerate(boxes):
        for kind, *box in sorted(rows.tolist(), key=lambda row: -(row[3] - row[1]) * (row[4] - row[2])):
            x0, y0, x1, y1 = box
            offset = np.abs(place - np.array([(x0 + x1) / 2, (y0 + y1) / 2])).max(axis=1) / stride_of
            longest, shortest = max(x1 - x0, y1 - y0), min(x1 - x0, y1 - y0)
            near = (offset <= RADIUS) & (longest >= low_of) & (longest < high_of)
            roles[picture, int(kind), near] = 1.0 if shortest >= SMALLEST else -1.0
            corners[picture, int(kind), near] = box
    return corners, roles


def to_corners(boxes: Tensor) -> Tensor:
    """Centre-size boxes [..., 4] as corners."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def overlap(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of corner boxes [n, 4], pair by pair."""
    size = (torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])).clamp(min=0)
    hull = torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])
    common, around = size.prod(dim=1), hull.prod(dim=1)
    union = (first[:, 2:] - first[:, :2]).prod(dim=1) + (second[:, 2:] - second[:, :2]).prod(dim=1) - common
    iou = common / union.clamp(min=1e-6)
    return iou, iou - (around - union) / around.clamp(min=1e-6)


def detection_loss(boxes: Tensor, logits: Tensor, corners: Tensor, roles: Tensor) -> Tensor:
    """The loss of decoded `boxes`, `logits` against the targets of `assign`, as one number."""
    answers = roles > 0
    quality = torch.zeros_like(logits)
    count = answers.sum().clamp(min=1)
    iou, generalised = overlap(to_corners(boxes[answers]), corners[answers])
    quality[answers] = iou.detach().clamp(0, 1)
    error = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    scored = (error * (roles >= 0)).sum() / count
    return scored + BOX_WEIGHT * (1 - generalised).sum() / count
