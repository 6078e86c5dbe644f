"""The detector's network: an anchor-free, one-stage net with a box of its own for each class at each point.

Points at strides 8, 16, 32 and 64, as in FCOS (Tian et al. 2019, https://arxiv.org/abs/1904.01355). Each class predicts
its own box, because a head and its face, or a cut-off person and their half body, share their centres.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kyara_miniature.train.net import Backbone, ConvNorm, Residual

CLASSES = ("person", "halfbody", "head", "face")
STRIDES = (8, 16, 32, 64)
WIDTH = 64


def head() -> nn.Sequential:
    """[b, WIDTH, h, w] -> [b, classes * 5, h, w]; it starts out finding nothing, as most points are background."""
    last = nn.Conv2d(WIDTH, len(CLASSES) * 5, 1)
    assert last.bias is not None
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    nn.init.constant_(last.bias.view(len(CLASSES), 5)[:, 4], -4.0)
    return nn.Sequential(ConvNorm(WIDTH, WIDTH), ConvNorm(WIDTH, WIDTH), last)


class Detector(nn.Module):
    """[b, 3, h, w] RGB in 0..1, sides multiples of 64 -> raw maps [b, classes * 5, h / stride, w / stride]."""

    def __init__(self) -> None:
        super().__init__()
        stem = nn.Sequential(ConvNorm(3, 24, 4, 4), ConvNorm(24, 32))
        self.backbone = Backbone((32, 64, 112, 128, 128), (0, 2, 2, 1, 1), nn.Sequential(stem, Residual(32)))
        self.sides = nn.ModuleList(ConvNorm(width, WIDTH, 1) for width in (64, 112, 128, 128))
        # A head for each stride: batch norms cannot share statistics between maps of such different contents.
        self.heads = nn.ModuleList(head() for _ in STRIDES)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.backbone(images * 2 - 1)[1:]
        sides = [side(m) for side, m in zip(self.sides, maps, strict=True)]
        merged = [sides[-1]]
        for side in reversed(sides[:-1]):
            merged.insert(0, side + F.interpolate(merged[0], scale_factor=2.0, mode="nearest"))
        return [one(m) for one, m in zip(self.heads, merged, strict=True)]


def decode(maps: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Raw maps -> boxes [b, classes, n, 4] (centre x, centre y, width, height in input px) and logits [b, classes, n].

    A point's box is its own place plus an offset in strides, and twice the stride times an exponential in size.
    """
    boxes, logits = [], []
    for level, stride in zip(maps, STRIDES, strict=True):
        level = level.float()
        height, width = level.shape[2], level.shape[3]
        raw = level.reshape(-1, len(CLASSES), 5, height, width)
        x = (torch.arange(width, device=level.device).float() + 0.5) * stride
        y = ((torch.arange(height, device=level.device).float() + 0.5) * stride).unsqueeze(1)
        size = raw[:, :, 2:4].clamp(-4, 4).exp() * (2 * stride)
        box = torch.stack([raw[:, :, 0] * stride + x, raw[:, :, 1] * stride + y, size[:, :, 0], size[:, :, 1]], dim=-1)
        boxes.append(box.flatten(2, 3))
        logits.append(raw[:, :, 4].flatten(2))
    return torch.cat(boxes, dim=2), torch.cat(logits, dim=2)


class YoloOutput(nn.Module):
    """The detector as a YOLO file gives it: [b, 4 + classes, n], centre-size boxes and the score of each class.

    The columns are the classes' boxes one class after another; a column scores 0 in all classes but its own.
    """

    def __init__(self, network: Detector) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        boxes, logits = decode(self.network(images))
        own = torch.eye(len(CLASSES))[None, :, :, None]
        scores = logits.sigmoid().unsqueeze(2) * own  # [b, class of the column, class of the row, n]
        columns = torch.cat([boxes.transpose(2, 3), scores], dim=2)  # [b, class of the column, 4 + classes, n]
        return columns.permute(0, 2, 1, 3).flatten(2)
