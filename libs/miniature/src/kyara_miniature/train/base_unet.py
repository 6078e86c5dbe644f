"""The base model's denoiser: a small UNet of Stable Diffusion 1.5's shape."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from kyara_miniature.train.base_data import Examples, caption
from kyara_miniature.train.base_loop import Course, Finished, run
from kyara_miniature.train.base_text import LENGTH, WIDTH
from kyara_miniature.train.base_vae import LATENT_CHANNELS
from kyara_miniature.train.loop import has_fast_bfloat16

CHANNELS = (64, 96, 128)
BATCH = 16
SCHEDULE = {
    "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
}  # fmt: skip
"""The noise of Stable Diffusion 1.5."""
SNR_LIMIT = 5.0


def make_unet() -> UNet2DConditionModel:
    """An untrained UNet for latents [b, 6, h, w] (sides a multiple of 4) and text [b, n, WIDTH]."""
    return UNet2DConditionModel(
        sample_size=20,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def train_denoiser(
    latents: list[Tensor],
    examples: list[Examples],
    tokenizer: CLIPTokenizer,
    text: CLIPTextModel,
    courses: Sequence[Course],
    work: Path,
    look: Callable[[UNet2DConditionModel, int], None],
) -> tuple[UNet2DConditionModel, list[Finished]]:
    """Train on `latents` (unit variance; one tensor per bucket of `examples`); the averaged network comes back.

    The courses follow one another, each with a learning rate that begins high again. `text` stays as it is.
    `look(unet, step)` sees the averaged network at every checkpoint.
    """
    network = make_unet()
    averaged = copy.deepcopy(network).eval().requires_grad_(False)
    # Spelt-out attention: the fused one is slow in bfloat16 on a CPU.
    network.set_attn_processor(AttnProcessor())
    schedule = DDPMScheduler(**SCHEDULE)
    signal = schedule.alphas_cumprod
    weights = (SNR_LIMIT * (1 - signal) / signal).clamp(max=1.0)
    sizes = np.array([len(bucket) for bucket in latents], dtype=float)
    fast = has_fast_bfloat16()

    def loss_of(before: int, step: int) -> Tensor:
        rng = np.random.default_rng([7751, before + step])
        bucket = int(rng.choice(len(latents), p=sizes / sizes.sum()))
        rows = rng.integers(len(latents[bucket]), size=BATCH)
        clean = latents[bucket][torch.from_numpy(rows)]
        noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
        # One time from each of BATCH equal parts of the schedule: a steadier loss than with free draws.
        times = torch.from_numpy(((np.arange(BATCH) + rng.random(BATCH)) / BATCH * 1000).astype(np.int64))
        noisy = schedule.add_noise(clean, noise, cast(torch.IntTensor, times))
        captions = [caption(row, rng) for row in examples[bucket].tags[rows]]
        with torch.no_grad():
            states = text(tokens_of(tokenizer, captions)).last_hidden_state
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            guess = network(noisy, times, states).sample
        errors = F.mse_loss(guess.float(), noise, reduction="none").mean(dim=(1, 2, 3))
        # Min-SNR weights (Hang et al. 2023, https://arxiv.org/abs/2303.09556).
        return (errors * weights[times]).mean()

    finished: list[Finished] = []
    for course in courses:
        before = sum(earlier.steps for earlier in finished)
        finished.append(run(course, network, averaged, partial(loss_of, before), work, partial(look, averaged)))
    return averaged, finished


def tokens_of(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """[n, 77] token numbers, padded and truncated as the pipeline does."""
    return tokenizer(captions, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids
