"""The loss of a step, and how much each picture's timestep counts in it."""

import math
from collections.abc import Sequence

import torch

from kyara_trainer.model import BaseModel


class LossNotFiniteError(Exception):
    """Training came apart; going on would only save garbage."""

    def __init__(self, step: int, loss: float, pictures: Sequence[int]) -> None:
        super().__init__(f"the loss became {loss} at step {step}")
        self.step = step
        self.loss = loss
        self.pictures = tuple(pictures)
        """Numbers of the pictures of the step."""

    def __reduce__(self) -> tuple[type["LossNotFiniteError"], tuple[int, float, tuple[int, ...]]]:
        return type(self), (self.step, self.loss, self.pictures)


def picture_losses(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error of each picture, [b]."""
    return torch.nn.functional.mse_loss(predicted.float(), target.float(), reduction="none").flatten(1).mean(1)


def min_snr_weights(base: BaseModel, timesteps: torch.Tensor, gamma: float) -> torch.Tensor:
    """Weights [b] of min-SNR-gamma (Hang et al. 2023): min(SNR, gamma) / SNR, and / (SNR + 1) where v is predicted.

    A timestep whose SNR is 0 (zero terminal SNR) counts fully for v; for noise, SNR is taken as the smallest float above 0.
    """
    kept = base.noise.alphas_cumprod.to(timesteps.device)[timesteps].double()
    snr = kept / (1 - kept)
    floor = snr.clamp(min=torch.finfo(torch.float64).tiny)
    weights = snr.clamp(max=gamma) / (snr + 1) if base.predicts_velocity else floor.clamp(max=gamma) / floor
    return weights.float()


def checked(value: float, step: int, pictures: Sequence[int]) -> float:
    """`value`. Raises LossNotFiniteError."""
    if not math.isfinite(value):
        raise LossNotFiniteError(step, value, pictures)
    return value
