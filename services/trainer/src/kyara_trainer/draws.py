"""What a step is made of, as a function of the seed and the step's number alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_trainer import noise as noises
from kyara_trainer.captions import Caption
from kyara_trainer.latents import Latent
from kyara_trainer.model import BaseModel, Framing
from kyara_trainer.schedule import DataOrder, derived_seed


@dataclass(frozen=True)
class Example:
    """A picture as it is trained on."""

    latent: Latent
    caption: Caption
    framing: Framing


@dataclass(frozen=True)
class Batch:
    """The pictures of a step, or of a pass of it."""

    members: tuple[int, ...]
    latents: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    captions: tuple[str, ...]
    framings: tuple[Framing, ...]

    def passes(self, size: int) -> list["Batch"]:
        """The batch in parts of at most `size` pictures."""
        return [self.part(slice(first, first + size)) for first in range(0, len(self.members), size)]

    def part(self, which: slice) -> "Batch":
        """Some of the batch."""
        tensors = self.latents[which], self.noise[which], self.timesteps[which]
        return Batch(self.members[which], *tensors, self.captions[which], self.framings[which])


class Draws:
    """Draws the batch of each step."""

    def __init__(self, base: BaseModel, params: TrainParams, examples: Mapping[int, Example], order: DataOrder) -> None:
        self._base = base
        self._params = params
        self._examples = examples
        self._order = order

    def batch(self, step: int) -> Batch:
        """The pictures, noise, timesteps and captions of `step`, counted from 0."""
        params = self._params
        members = self._order.batch(step)
        examples = [self._examples[member] for member in members]
        # Drawn on the CPU so that the numbers do not depend on the device.
        dice = torch.Generator().manual_seed(derived_seed(params.seed, "noise", step))
        means, stds = stacked(examples)
        latents = means + stds * torch.randn(means.shape, generator=dice)
        noise = torch.randn(means.shape, generator=dice)
        timesteps = torch.randint(0, self._base.noise.config["num_train_timesteps"], (len(members),), generator=dice)
        noise = noises.shaped(noise, params, dice)
        rng = np.random.default_rng(derived_seed(params.seed, "captions", step))
        captions = tuple(example.caption.draw(rng, params) for example in examples)
        device = self._base.device
        framings = tuple(example.framing for example in examples)
        return Batch(members, latents.to(device), noise.to(device), timesteps.to(device), captions, framings)


def stacked(examples: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Means and deviations of the latents, [b, channels, h, w]."""
    means = torch.stack([example.latent.mean for example in examples])
    return means, torch.stack([example.latent.std for example in examples])
