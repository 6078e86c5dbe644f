"""Base models with next to no width and random weights, as diffusers folders laid out like `kyara models pull` does."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_pndm import PNDMScheduler
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

WIDTH = 16
_SHALLOW: dict[str, Any] = {
    "block_out_channels": (8, 8),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
}
_TEXT: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_attention_heads": 2,
    "max_position_embeddings": 77,
    "vocab_size": 514,
    "bos_token_id": 512,
    "eos_token_id": 513,
}


def write_base_model(folder: Path, *, like_sd15: bool = False) -> None:
    """Write a model whose latents are an eighth of its pictures' size; `like_sd15` has Stable Diffusion 1.5's blocks."""
    torch.manual_seed(0)
    parts: dict[str, Any] = {
        "vae": _vae(),
        "text_encoder": _text_encoder(12 if like_sd15 else 2),
        "tokenizer": _tokenizer(folder / "tokenizer"),
        "unet": _unet(like_sd15),
        "scheduler": PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
        ),
        "safety_checker": None,
        "feature_extractor": None,
    }
    StableDiffusionPipeline(**parts, requires_safety_checker=False).save_pretrained(folder)
    # transformers 5 leaves it out; published models have it, and the catalogue asks for it.
    (folder / "tokenizer" / "special_tokens_map.json").write_text("{}")


def write_xl_base_model(folder: Path) -> None:
    """Write a model in Stable Diffusion XL's shape: two text encoders, a pooled vector, how a picture was cut."""
    torch.manual_seed(0)
    config = {**_TEXT, "num_hidden_layers": 2, "projection_dim": WIDTH}
    unet = UNet2DConditionModel(
        **_SHALLOW,
        sample_size=8,
        attention_head_dim=2,
        cross_attention_dim=2 * WIDTH,
        norm_num_groups=4,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=6 * 4 + WIDTH,
        use_linear_projection=True,
    )
    parts: dict[str, Any] = {
        "vae": _vae(),
        "text_encoder": CLIPTextModel(CLIPTextConfig(**config)),
        "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**config)),
        "tokenizer": _tokenizer(folder / "tokenizer"),
        "tokenizer_2": _tokenizer(folder / "tokenizer_2"),
        "unet": unet,
        "scheduler": EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
    }
    StableDiffusionXLPipeline(**parts).save_pretrained(folder)


def _vae() -> AutoencoderKL:
    sizes: dict[str, Any] = {
        "block_out_channels": (8, 8, 8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
    }
    return AutoencoderKL(**sizes, norm_num_groups=4, latent_channels=4, layers_per_block=1)


def _unet(like_sd15: bool) -> UNet2DConditionModel:
    sizes: dict[str, Any] = {"block_out_channels": (8, 8, 8, 8)} if like_sd15 else _SHALLOW
    return UNet2DConditionModel(**sizes, sample_size=8, attention_head_dim=2, cross_attention_dim=WIDTH, norm_num_groups=4)


def _text_encoder(layers: int) -> CLIPTextModel:
    return CLIPTextModel(CLIPTextConfig(**_TEXT, num_hidden_layers=layers))


def _tokenizer(folder: Path) -> CLIPTokenizer:
    """CLIP's tokenizer without a single merge: every letter is a token."""
    folder.mkdir(parents=True)
    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(str(folder), model_max_length=77)
