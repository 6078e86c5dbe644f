"""The base model's parts as the trainer needs them, whatever its family: `sd15` and `sdxl` are the two there are."""

import ctypes
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler


@dataclass
class TextEncoder:
    """A text encoder with its tokenizer."""

    model: Any
    tokenizer: Any

    def hidden_states(self, captions: Sequence[str], device: torch.device) -> Any:
        """The model's whole answer, all layers' states included."""
        length = self.tokenizer.model_max_length
        tokens = self.tokenizer(
            list(captions), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        )  # fmt: skip
        return self.model(tokens.input_ids.to(device), output_hidden_states=True)


@dataclass(frozen=True)
class Conditioning:
    """What the UNet is told beside the noisy latents."""

    hidden: torch.Tensor
    """[b, tokens, width]"""
    pooled: torch.Tensor | None = None
    """[b, width], in families that have it."""


@dataclass(frozen=True)
class Framing:
    """How pictures were cut: sizes and places as (height, width) and (top, left), in px of the scaled picture."""

    source: tuple[int, int]
    corner: tuple[int, int]
    target: tuple[int, int]

    def ids(self) -> list[int]:
        """SDXL's six numbers."""
        return [*self.source, *self.corner, *self.target]


@dataclass
class BaseModel(ABC):
    """A diffusion model of latents, every weight frozen."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoders: dict[str, TextEncoder]
    """By the prefix that their modules have in a LoRA file."""
    noise: DDPMScheduler
    """Knows how much noise each timestep has, and what the model predicts."""
    device: torch.device

    version: ClassVar[str]
    """`ss_base_model_version` of a LoRA on it."""
    architecture: ClassVar[str]
    """`modelspec.architecture` of the base."""
    embedding_names: ClassVar[tuple[str, ...]]
    """What an embedding file calls the words of each text encoder."""

    @property
    def latent_scale(self) -> int:
        """Pixels a side of one latent."""
        return 2 ** (len(self.vae.config["block_out_channels"]) - 1)

    @abstractmethod
    def encode_text(self, captions: Sequence[str], clip_skip: int) -> Conditioning:
        """What the captions condition the UNet on.

        `clip_skip` counts as the community does: 1 (or 0) is the last layer, 2 the last but one.
        """

    @abstractmethod
    def predict(
        self, noisy: torch.Tensor, timesteps: torch.Tensor, told: Conditioning, framings: Sequence[Framing]
    ) -> torch.Tensor:
        """What the UNet makes of `noisy` [b, channels, h, w]."""

    @property
    def predicts_velocity(self) -> bool:
        """Whether the UNet answers with v, and not with the noise. Raises ValueError for what is neither."""
        kind = self.noise.config["prediction_type"]
        if kind not in ("epsilon", "v_prediction"):
            raise ValueError(f"the base model predicts {kind!r}; epsilon and v_prediction are known")
        return kind == "v_prediction"

    def target(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """What the UNet should have said."""
        if not self.predicts_velocity:
            return noise
        # The scheduler's own annotation names an IntTensor, but its indexing takes what it samples: int64.
        return self.noise.get_velocity(latents, noise, timesteps)  # pyright: ignore[reportArgumentType]


def digest_of_weights(parts: Iterable[torch.nn.Module]) -> str:
    """SHA-256 over every weight of `parts`: other weights, another digest."""
    digest = hashlib.sha256()
    for part in parts:
        for name, weight in part.state_dict().items():
            data = weight.detach().cpu().contiguous()
            digest.update(f"{name} {tuple(data.shape)} {data.dtype}\n".encode())
            digest.update(data.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def release(part: torch.nn.Module) -> None:
    """Give back the memory of a part that is not needed any more; its shape stays known."""
    part.to("meta")


def give_back() -> None:
    """Give freed memory back to the system: glibc keeps it where anything lies behind it. Elsewhere nothing happens."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
