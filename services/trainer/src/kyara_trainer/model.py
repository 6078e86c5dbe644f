"""The base model's parts as the trainer needs them: loaded from a diffusers folder, frozen."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging


@dataclass
class BaseModel:
    """A diffusion model in Stable Diffusion 1.5's shape."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: Any
    tokenizer: Any
    noise: DDPMScheduler
    """Knows how much noise each timestep has, and what the model predicts."""
    device: torch.device

    @property
    def latent_scale(self) -> int:
        """Pixels a side of one latent."""
        return 2 ** (len(self.vae.config["block_out_channels"]) - 1)

    def encode_text(self, captions: list[str], clip_skip: int) -> torch.Tensor:
        """[b, tokens, width] hidden states that the UNet is conditioned on.

        `clip_skip` counts as the community does: 1 (or 0) is the last layer, 2 the last but one, always with the
        final layer norm.
        """
        tokens = self.tokenizer(
            captions,
            padding="max_length",
            truncation=True,
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        )
        output = self.text_encoder(tokens.input_ids.to(self.device), output_hidden_states=True)
        if clip_skip <= 1:
            return output.last_hidden_state
        return self.text_encoder.final_layer_norm(output.hidden_states[-clip_skip])

    def target(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """What the UNet should have said. Raises ValueError for a prediction type that is not known."""
        kind = self.noise.config["prediction_type"]
        if kind == "epsilon":
            return noise
        if kind == "v_prediction":
            # The scheduler's own annotation names an IntTensor, but its indexing takes what it samples: int64.
            return self.noise.get_velocity(latents, noise, timesteps)  # pyright: ignore[reportArgumentType]
        raise ValueError(f"the base model predicts {kind!r}; epsilon and v_prediction are known")


def load_base(folder: Path, device: torch.device) -> BaseModel:
    """Load the diffusers folder at `folder`, every weight frozen. Raises OSError when a part is missing."""
    # A service's log is no place for progress bars.
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    pipeline = StableDiffusionPipeline.from_pretrained(
        str(folder), safety_checker=None, requires_safety_checker=False, dtype=torch.float32
    ).to(device)
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        part.requires_grad_(False)
        part.eval()
        align(part)
    noise = DDPMScheduler.from_config(pipeline.scheduler.config)
    assert isinstance(noise, DDPMScheduler)
    return BaseModel(
        unet=pipeline.unet,
        vae=pipeline.vae,
        text_encoder=pipeline.text_encoder,
        tokenizer=pipeline.tokenizer,
        noise=noise,
        device=device,
    )


def align(part: torch.nn.Module) -> None:
    """Give every weight memory of its own.

    A weight that is a view into a safetensors file lies wherever the file has it, and kernels may round differently
    for weights that are not aligned: the same numbers would train to other bytes.
    """
    for weight in part.parameters():
        weight.data = weight.data.clone()
