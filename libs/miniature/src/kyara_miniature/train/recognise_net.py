"""The networks of CCIP and the tagger: a small residual net over 128 px or 224 px, with the contracts' inputs around it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kyara_miniature.train.net import Backbone, ConvNorm

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
FEATURES = 768
TOP = 176
CCIP_SIZE, TAGGER_SIZE = 128, 224
"""Sides at which the nets work: the contracts' 384 and 448 px are averaged down by 3 and 2 inside the graph."""


def pool(last: Tensor) -> Tensor:
    """A map [b, c, h, w] as its means and maxima, [b, 2 * c]."""
    return torch.cat([last.mean(dim=(2, 3)), last.amax(dim=(2, 3))], dim=1)


class Ccip(nn.Module):
    """Small pictures [b, 3, CCIP_SIZE, CCIP_SIZE], normalised as CLIP does, -> unit features [b, 768]."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone((48, 96, TOP), (1, 2, 2), ConvNorm(3, 48, 4, 4))
        self.project = nn.Sequential(nn.Linear(2 * TOP, FEATURES), nn.BatchNorm1d(FEATURES))

    def forward(self, images: Tensor) -> Tensor:
        return self.features(self.pooled(images))

    def pooled(self, images: Tensor) -> Tensor:
        """What the backbone sees, [b, 2 * TOP]: the mean and the maximum of its last map."""
        return pool(self.backbone(images)[-1])

    def features(self, pooled: Tensor) -> Tensor:
        """Unit features [b, 768] of pooled maps."""
        return F.normalize(self.project(pooled).float(), dim=1)


class CcipFile(nn.Module):
    """CCIP as the file gives it: [b, 3, 384, 384] -> [b, 768]."""

    def __init__(self, network: Ccip) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(F.avg_pool2d(images, 384 // CCIP_SIZE))


class CcipMetric(nn.Module):
    """Features [n, 768] -> differences [n, n] in 0..1: half of one minus the cosine, to a power.

    The power only spreads the scale, so that the threshold of best F1 lies near that of the published model.
    """

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = power

    def forward(self, features: Tensor) -> Tensor:
        unit = F.normalize(features, dim=1)
        apart = ((1 - unit @ unit.T) / 2).clamp(0, 1)
        return apart.pow(self.power)


class Tagger(nn.Module):
    """Small pictures [b, 3, TAGGER_SIZE, TAGGER_SIZE] RGB in 0..1 -> embedding [b, 352] and logits [b, tags]."""

    def __init__(self, tags: int) -> None:
        super().__init__()
        # One stage more than CCIP's, and finer: a mouth or a hair clip is a few px of a whole figure.
        self.backbone = Backbone((24, 48, 96, TOP), (1, 1, 2, 2), ConvNorm(3, 24, 4, 4))
        self.classify = nn.Linear(2 * TOP, tags)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, deviation = torch.tensor(CLIP_MEAN).view(3, 1, 1), torch.tensor(CLIP_STD).view(3, 1, 1)
        pooled = pool(self.backbone((images - mean) / deviation)[-1])
        return pooled.float(), self.classify(pooled).float()


class TaggerFile(nn.Module):
    """The tagger as the file gives it: [b, 448, 448, 3] BGR in 0..255 -> probabilities [b, tags] and embedding.

    The first columns are the four ratings of WD14; this world is general throughout, so they are constants.
    """

    RATINGS = (0.995, 0.004, 0.0005, 0.0005)

    def __init__(self, network: Tagger) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        rgb = images.flip(3).permute(0, 3, 1, 2) / 255
        embedding, logits = self.network(F.avg_pool2d(rgb, 448 // TAGGER_SIZE))
        ratings = torch.tensor(self.RATINGS).expand(logits.shape[0], -1)
        return torch.cat([ratings, logits.sigmoid()], dim=1), embedding
