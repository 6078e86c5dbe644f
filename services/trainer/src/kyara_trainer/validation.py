"""The loss on pictures that are held back: whether the LoRA learns its character, or only its pictures.

Noise and timesteps follow from the picture and from nothing else, and so does which pictures are held back: the numbers of all
saves, seeds and recipes on one dataset compare.
"""

from collections.abc import Mapping, Sequence

import torch

from kyara_artifacts import Image
from kyara_trainer.draws import Batch, Example
from kyara_trainer.loss import picture_losses
from kyara_trainer.model import BaseModel
from kyara_trainer.schedule import derived_seed
from kyara_trainer.texts import Texts

TIMESTEPS = 8
"""Evenly over the whole range, so that every amount of noise counts."""


def held_back(images: Sequence[Image], share: float) -> set[int]:
    """Numbers of about `share` of the pictures; none of them was cut from what one of the others was cut from.

    At least one when `share` is above 0 and the pictures come from two originals or more; never all.
    """
    origins: dict[str, list[int]] = {}
    for number, image in enumerate(images):
        origins.setdefault(f"{image.source}/{image.parent}" if image.parent else image.sha256, []).append(number)
    if not share or len(origins) < 2:
        return set()
    shuffled = sorted(origins, key=lambda origin: derived_seed(0, "held back", origin))
    count = min(len(origins) - 1, max(1, round(share * len(origins))))
    return {number for origin in shuffled[:count] for number in origins[origin]}


class Validation:
    """The pictures held back, ready to be asked about."""

    def __init__(self, base: BaseModel, examples: Mapping[int, Example], images: Sequence[Image]) -> None:
        self._base = base
        steps = base.noise.config["num_train_timesteps"]
        self._timesteps = torch.tensor([int((place + 0.5) * steps / TIMESTEPS) for place in range(TIMESTEPS)])
        self._batches = [self._batch(number, example, images[number].sha256) for number, example in sorted(examples.items())]

    def __len__(self) -> int:
        return len(self._batches)

    @torch.no_grad()
    def loss(self, texts: Texts) -> float:
        """Mean squared error over all pictures and timesteps, each with its whole caption."""
        losses = []
        for batch in self._batches:
            noisy = self._base.noise.add_noise(batch.latents, batch.noise, batch.timesteps)  # pyright: ignore[reportArgumentType]
            predicted = self._base.predict(noisy, batch.timesteps, texts.encode(batch.captions), batch.framings)
            losses.append(picture_losses(predicted, self._base.target(batch.latents, batch.noise, batch.timesteps)))
        return float(torch.cat(losses).double().mean())

    def _batch(self, number: int, example: Example, sha256: str) -> Batch:
        dice = torch.Generator().manual_seed(derived_seed(0, "validation", sha256))
        latents = example.latent.mean.expand(TIMESTEPS, -1, -1, -1)
        noise = torch.randn(latents.shape, generator=dice)
        device = self._base.device
        return Batch(
            members=(number,) * TIMESTEPS,
            latents=latents.to(device),
            noise=noise.to(device),
            timesteps=self._timesteps.to(device),
            captions=(example.caption.whole(),) * TIMESTEPS,
            framings=(example.framing,) * TIMESTEPS,
        )
