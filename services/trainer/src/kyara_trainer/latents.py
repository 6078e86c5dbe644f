"""Pictures to latents: decoded, scaled and cut to their bucket, and encoded once, before the first step.

What cannot be used (bytes that are no picture, latents that are not finite) is set aside with its reason.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
import torch

from kyara_artifacts import BadPicture, Image, Store, read_picture
from kyara_trainer.buckets import Bucket, cover
from kyara_trainer.model import BaseModel

ENCODE_BATCH = 8


@dataclass(frozen=True)
class Latent:
    """Mean and standard deviation of a picture's latents, each [channels, h, w]; a step draws from them."""

    mean: torch.Tensor
    std: torch.Tensor


def fits(image: PIL.Image.Image, width: int, height: int) -> torch.Tensor:
    """The picture as float [3, height, width] in -1..1, scaled to cover the bucket and cut about its centre."""
    scaled, (left, top) = cover(image.size, (width, height))
    cut = image.resize(scaled, PIL.Image.Resampling.LANCZOS).crop((left, top, left + width, top + height))
    return torch.from_numpy(np.asarray(cut, np.float32) / 127.5 - 1.0).permute(2, 0, 1)


def encode(
    base: BaseModel, store: Store, images: Sequence[Image], buckets: Sequence[Bucket], reject: Callable[[int, str], None]
) -> Iterator[tuple[int, Latent]]:
    """Latents by number of picture, bucket by bucket. `reject(number, reason)` is called for those left out."""
    for bucket in buckets:
        for first in range(0, len(bucket.members), ENCODE_BATCH):
            numbers = bucket.members[first : first + ENCODE_BATCH]
            pixels: dict[int, torch.Tensor] = {}
            for number, data in zip(numbers, store.get_all([images[number].digest for number in numbers]), strict=True):
                try:
                    pixels[number] = fits(read_picture(data), bucket.width, bucket.height)
                except BadPicture as error:
                    reject(number, str(error))
            if pixels:
                yield from _encode_batch(base, pixels, reject)


@torch.no_grad()
def _encode_batch(
    base: BaseModel, pixels: dict[int, torch.Tensor], reject: Callable[[int, str], None]
) -> Iterator[tuple[int, Latent]]:
    stacked = torch.stack(list(pixels.values())).to(base.device)
    distribution = base.vae.encode(stacked).latent_dist  # pyright: ignore[reportAttributeAccessIssue]
    shift, scale = base.vae.config.get("shift_factor") or 0.0, base.vae.config["scaling_factor"]
    means, stds = (distribution.mean - shift) * scale, distribution.std * scale
    for number, mean, std in zip(pixels, means.cpu(), stds.cpu(), strict=True):
        if torch.isfinite(mean).all() and torch.isfinite(std).all():
            yield number, Latent(mean, std)
        else:
            reject(number, "its latents are not finite numbers; the base model's autoencoder overflows on it")
