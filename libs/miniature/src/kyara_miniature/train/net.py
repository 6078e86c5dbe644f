"""The blocks that the detector, CCIP, tagger and CLIP share: plain 3x3 residual convolutions.

Plain convolutions because that is what CPUs run fastest, in training (oneDNN, bfloat16) as in onnxruntime,
where batch norms fold into them.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """Convolution, batch norm, ReLU; keeps the size for stride 1, divides it by the stride otherwise."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        padding = 0 if kernel == stride else kernel // 2
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3x3 convolutions around a skip (He et al. 2016, https://arxiv.org/abs/1512.03385)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        self.last = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x + self.second(self.first(x)))


class Backbone(nn.Module):
    """A stem and stages that halve the size: [b, 3, h, w] -> one map per stage, finest first.

    The first stage works at `stem_stride`, each following one at twice the stride before.
    """

    def __init__(self, widths: Sequence[int], blocks: Sequence[int], stem: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        stages: list[nn.Module] = []
        for index, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            down = [ConvNorm(widths[index - 1], width, stride=2)] if index else []
            stages.append(nn.Sequential(*down, *(Residual(width) for _ in range(count))))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        maps: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
