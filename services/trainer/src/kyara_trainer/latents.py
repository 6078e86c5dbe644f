"""Pictures to latents: decoded, scaled and cut to their bucket, and encoded once, before the first step.

What cannot be used (bytes that are no picture, latents that are not finite) is set aside with its reason.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import PIL.Image
import torch

from kyara_artifacts import BadPicture, Image, Store, read_picture
from kyara_trainer.buckets import Bucket, cover
from kyara_trainer.cache import Cache, Tensors
from kyara_trainer.model import BaseModel, Framing, digest_of_weights

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


def framing_of(image: Image, bucket: Bucket) -> Framing:
    """How `fits` cuts the picture."""
    (_, (left, top)) = cover((image.width, image.height), (bucket.width, bucket.height))
    return Framing((image.height, image.width), (top, left), (bucket.height, bucket.width))


def encode(
    base: BaseModel, store: Store, images: Sequence[Image], buckets: Sequence[Bucket], reject: Callable[[int, str], None]
) -> Iterator[tuple[int, Latent]]:
    """Latents by number of picture, bucket by bucket. `reject(number, reason)` is called for those left out.

    They are taken from the store when an earlier run on the same pictures, sizes and autoencoder left them there.
    """
    shapes = [[bucket.width, bucket.height, [images[number].sha256 for number in bucket.members]] for bucket in buckets]
    cache = Cache(store, "latents", base.device, shapes, digest_of_weights([base.vae]))
    for place, bucket in enumerate(buckets):
        for first in range(0, len(bucket.members), ENCODE_BATCH):
            numbers = bucket.members[first : first + ENCODE_BATCH]
            kept = cache.tensors(
                place * len(images) + first,
                lambda numbers=numbers, bucket=bucket: _encode(base, store, [images[number] for number in numbers], bucket),
            )
            for position, number in enumerate(numbers):
                if f"{position}.mean" in kept:
                    yield number, Latent(kept[f"{position}.mean"], kept[f"{position}.std"])
                else:
                    reject(number, _reason(store, images[number]))
    cache.close()


@torch.no_grad()
def _encode(base: BaseModel, store: Store, images: Sequence[Image], bucket: Bucket) -> Tensors:
    """`<position>.mean` and `.std` of the pictures that have them."""
    pixels: dict[int, torch.Tensor] = {}
    for position, data in enumerate(store.get_all([image.digest for image in images])):
        with suppress(BadPicture):
            pixels[position] = fits(read_picture(data), bucket.width, bucket.height)
    if not pixels:
        return {}
    distribution = base.vae.encode(torch.stack(list(pixels.values())).to(base.device)).latent_dist  # pyright: ignore[reportAttributeAccessIssue]
    shift, scale = base.vae.config.get("shift_factor") or 0.0, base.vae.config["scaling_factor"]
    means, stds = (distribution.mean - shift) * scale, distribution.std * scale
    made: Tensors = {}
    for position, mean, std in zip(pixels, means.cpu(), stds.cpu(), strict=True):
        if torch.isfinite(mean).all() and torch.isfinite(std).all():
            made |= {f"{position}.mean": mean, f"{position}.std": std}
    return made


def _reason(store: Store, image: Image) -> str:
    """Why a picture has no latents."""
    try:
        read_picture(store.get(image.digest))
    except BadPicture as error:
        return str(error)
    return "its latents are not finite numbers; the base model's autoencoder overflows on it"
