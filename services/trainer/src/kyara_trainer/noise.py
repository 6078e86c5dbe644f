"""The noise of a step. Everything is drawn on the CPU, so that the numbers do not depend on the device."""

import torch

from kyara.trainer.v1.trainer_pb2 import TrainParams

FINEST, COARSEST = 2.0, 4.0
"""Each layer of multires noise is so many times as coarse as the one before; how many is drawn."""


def offset(noise: torch.Tensor, strength: float, dice: torch.Generator) -> torch.Tensor:
    """`noise` [b, channels, h, w] with each channel shifted as a whole, so that very bright and dark pictures are learnt.

    After "Diffusion with offset noise" (Guttenberg 2023): N(0, 1) + strength x N(0, 1) per picture and channel.
    """
    return noise + strength * torch.randn((*noise.shape[:2], 1, 1), generator=dice)


def multires(noise: torch.Tensor, iterations: int, discount: float, dice: torch.Generator) -> torch.Tensor:
    """`noise` [b, channels, h, w] with coarser and coarser noise laid over it, the i-th layer weighted `discount ** i`.

    After "Multi-resolution noise for diffusion model training" (Whitaker 2023), as sd-scripts has it, but for one thing: the
    sum is brought back to a deviation of 1 for each picture and not for the batch, so that no picture depends on its batch.
    """
    height, width = noise.shape[2:]
    for layer in range(iterations):
        ratio = FINEST + (COARSEST - FINEST) * float(torch.rand((), generator=dice))
        size = max(1, int(height / ratio**layer)), max(1, int(width / ratio**layer))
        coarse = torch.randn((*noise.shape[:2], *size), generator=dice)
        noise = noise + discount**layer * torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
        if size == (1, 1):
            break
    return noise / noise.std(dim=(1, 2, 3), keepdim=True)


def shaped(noise: torch.Tensor, params: TrainParams, dice: torch.Generator) -> torch.Tensor:
    """`noise` as the params want it."""
    if params.multires_noise_iterations:
        noise = multires(noise, params.multires_noise_iterations, params.multires_noise_discount, dice)
    if params.noise_offset:
        noise = offset(noise, params.noise_offset, dice)
    return noise
