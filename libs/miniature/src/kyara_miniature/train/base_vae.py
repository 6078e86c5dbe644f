"""The base model's autoencoder: pictures to latents of a quarter of their sides and back.

A quarter, where Stable Diffusion has an eighth: at this size a face is some 30 px wide, and its eyes must survive.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch import Tensor
from torch.nn import functional as F

from kyara_miniature.train.base_data import Examples
from kyara_miniature.train.base_loop import Course, Finished, run
from kyara_miniature.train.loop import has_fast_bfloat16

CHANNELS = (32, 64, 64)
LATENT_CHANNELS = 6
"""Four leave the eyes grey at this size."""
WINDOW = 48
"""Side of the windows to learn from, px."""
BATCH = 8
KL = 3e-6


def make_vae() -> AutoencoderKL:
    """An untrained autoencoder: [b, 3, h, w] in -1..1 <-> [b, 6, h / 4, w / 4]."""
    levels = len(CHANNELS)
    config: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "block_out_channels": CHANNELS,
        "layers_per_block": 1,
        "latent_channels": LATENT_CHANNELS,
        "norm_num_groups": 8,
        "sample_size": 80,
        "mid_block_add_attention": False,
    }
    return AutoencoderKL(**config)


def to_pictures(images: np.ndarray) -> Tensor:
    """[n, h, w, 3] uint8 -> [n, 3, h, w] in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def posterior(vae: AutoencoderKL, x: Tensor) -> DiagonalGaussianDistribution:
    """The latents of pictures [b, 3, h, w] as a distribution: `mean`, `std`, `kl()`."""
    return cast(AutoencoderKLOutput, vae.encode(x)).latent_dist


def decode(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Pictures [b, 3, 4 h, 4 w] of latents [b, 6, h, w]."""
    return cast(DecoderOutput, vae.decode(cast(Any, latents))).sample


def train_vae(examples: list[Examples], steps: int, work: Path) -> tuple[AutoencoderKL, Finished]:
    """Train on windows of the examples; the averaged network comes back, its latents standardised."""
    network = make_vae()
    averaged = copy.deepcopy(network).eval().requires_grad_(False)
    fast = has_fast_bfloat16()

    def loss_of(step: int) -> Tensor:
        rng = np.random.default_rng([7741, step])
        x = _windows(examples, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            latents = posterior(network, x)
            noise = torch.from_numpy(rng.standard_normal(latents.mean.shape, dtype=np.float32))
            y = decode(network, latents.mean + latents.std * noise)
        return picture_loss(y.float(), x) + KL * latents.kl().float().mean()

    finished = run(Course("vae", steps, 1.5e-3), network, averaged, loss_of, work, lambda _: None)
    standardise(averaged, [encode(averaged, e.pictures[:400]) for e in examples if len(e.pictures)])
    return averaged, finished


def _windows(examples: list[Examples], rng: np.random.Generator) -> Tensor:
    sizes = np.array([len(e.pictures) for e in examples], dtype=float)
    rows: list[np.ndarray] = []
    for bucket in rng.choice(len(examples), size=BATCH, p=sizes / sizes.sum()):
        pictures = examples[bucket].pictures
        image = pictures[int(rng.integers(len(pictures)))]
        top = int(rng.integers(image.shape[0] - WINDOW + 1))
        left = int(rng.integers(image.shape[1] - WINDOW + 1))
        rows.append(image[top : top + WINDOW, left : left + WINDOW])
    return to_pictures(np.stack(rows))


@torch.no_grad()
def standardise(vae: AutoencoderKL, latents: list[Tensor]) -> None:
    """Make each latent channel's mean 0 and deviation 1 over `latents` by folding that into the 1x1 convolutions.

    A single scaling factor would leave channels of unequal strength, and noise would drown the weak ones first.
    """
    values = torch.cat([each.transpose(0, 1).flatten(1) for each in latents], dim=1)
    mean, deviation = values.mean(dim=1), values.std(dim=1)
    into, out_of = vae.quant_conv, vae.post_quant_conv
    assert into is not None and into.bias is not None and out_of is not None and out_of.bias is not None
    channels = len(mean)
    out_of.bias += out_of.weight[:, :, 0, 0] @ mean
    out_of.weight *= deviation[None, :, None, None]
    into.weight[:channels] /= deviation[:, None, None, None]
    into.bias[:channels] = (into.bias[:channels] - mean) / deviation
    into.bias[channels:] -= 2 * deviation.log()
    vae.register_to_config(scaling_factor=1.0)


def picture_loss(y: Tensor, x: Tensor) -> Tensor:
    """Error of the pixels, of their differences to the neighbours (sharp lines) and of patches (colour of small things)."""
    difference = y - x
    edges = difference.diff(dim=3).abs().mean() + difference.diff(dim=2).abs().mean()
    patches = F.avg_pool2d(difference, 4).abs().mean()
    return difference.abs().mean() + 2 * difference.square().mean() + 0.3 * edges + patches


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: np.ndarray) -> Tensor:
    """Unscaled latents [n, 6, h / 4, w / 4] of pictures [n, h, w, 3] uint8: the means, so without noise."""
    chunks = (to_pictures(pictures[i : i + 64]) for i in range(0, len(pictures), 64))
    return torch.cat([posterior(vae, chunk).mean for chunk in chunks])


def encoded(vae: AutoencoderKL, examples: list[Examples], work: Path) -> list[Tensor]:
    """The latents of each bucket's pictures, kept in `work` for a run that goes on."""
    path = work / "latents.pt"
    if not path.exists():
        part = path.with_suffix(".part")
        torch.save([encode(vae, bucket.pictures) for bucket in examples], part)
        part.rename(path)
    return torch.load(path, weights_only=True)


@torch.no_grad()
def psnr(vae: AutoencoderKL, examples: list[Examples]) -> float:
    """Peak signal to noise ratio, dB, of all pictures after a round trip."""
    squares, count = 0.0, 0
    for example in examples:
        for i in range(0, len(example.pictures), 64):
            x = to_pictures(example.pictures[i : i + 64])
            y = decode(vae, posterior(vae, x).mean).clamp(-1, 1)
            squares += float((y - x).square().sum()) / 4
            count += x.numel()
    return float(-10 * np.log10(squares / count))
