"""From a path to a base model: the family is what the files say it is."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from kyara_inference.own import CHECKPOINT
from kyara_trainer.model import BaseModel, TextEncoder
from kyara_trainer.sd15 import StableDiffusion15
from kyara_trainer.sdxl import StableDiffusionXL

Encoders = dict[str, tuple[str, Any]]

FAMILIES: dict[str, tuple[type[BaseModel], Encoders]] = {
    "StableDiffusionPipeline": (StableDiffusion15, {"lora_te": ("", CLIPTextModel)}),
    "StableDiffusionXLPipeline": (
        StableDiffusionXL,
        {"lora_te1": ("", CLIPTextModel), "lora_te2": ("_2", CLIPTextModelWithProjection)},
    ),
}
"""By the name of their pipeline: the family, and its text encoders by the prefix that their modules have in a LoRA file: the end
of their folders' names, and their class."""


class UnfitBaseError(Exception):
    """The files are no base model that can be trained on; the message says which they are and what to do."""


def load_base(folder: Path, device: torch.device) -> BaseModel:
    """Load the diffusers folder at `folder`, every weight frozen. Raises UnfitBaseError; OSError when a part is missing.

    It may hold Stable Diffusion 1.5 as one file, CHECKPOINT, in place of its parts' weights.
    """
    # A service's log is no place for progress bars.
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    family, encoders = FAMILIES[_pipeline_of(folder)]
    unet, vae, texts = _one_file(folder / CHECKPOINT) if (folder / CHECKPOINT).is_file() else _parts(folder, encoders)
    for part in (unet, vae, *(text.model for text in texts.values())):
        part.requires_grad_(False)
        part.eval()
        part.to(device)
        align(part)
    noise = DDPMScheduler.from_pretrained(str(folder), subfolder="scheduler")
    assert isinstance(noise, DDPMScheduler)
    return family(unet=unet, vae=vae, text_encoders=texts, noise=noise, device=device)


def _parts(folder: Path, encoders: Encoders) -> tuple[Any, Any, dict[str, TextEncoder]]:
    """UNet, autoencoder and text encoders, part by part: a whole pipeline would bring what only drawing needs."""
    unet = UNet2DConditionModel.from_pretrained(str(folder), subfolder="unet", dtype=torch.float32)
    vae = AutoencoderKL.from_pretrained(str(folder), subfolder="vae", dtype=torch.float32)
    texts = {
        prefix: TextEncoder(
            kind.from_pretrained(folder / f"text_encoder{end}", dtype=torch.float32),
            CLIPTokenizer.from_pretrained(folder / f"tokenizer{end}"),
        )
        for prefix, (end, kind) in encoders.items()
    }
    return unet, vae, texts


def _one_file(path: Path) -> tuple[Any, Any, dict[str, TextEncoder]]:
    """The same of a checkpoint of Stable Diffusion 1.5 in one file, with the configs that lie beside it."""
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

    unused = {"safety_checker": None, "requires_safety_checker": False, "feature_extractor": None}
    how: dict[str, Any] = {**unused, "config": str(path.parent), "local_files_only": True, "dtype": torch.float32}
    pipeline: Any = StableDiffusionPipeline.from_single_file(str(path), **how)
    return pipeline.unet, pipeline.vae, {"lora_te": TextEncoder(pipeline.text_encoder, pipeline.tokenizer)}


def _pipeline_of(folder: Path) -> str:
    index = folder / "model_index.json"
    if not index.is_file():
        raise UnfitBaseError(f"{folder.name} is no diffusers folder: it has no model_index.json")
    kind = str(json.loads(index.read_text(encoding="utf-8")).get("_class_name"))
    if kind not in FAMILIES:
        raise UnfitBaseError(f"{folder.name} is a {kind}; a LoRA can be trained on {' and '.join(FAMILIES)}")
    return kind


def align(part: torch.nn.Module) -> None:
    """Give every weight memory of its own.

    A weight that is a view into a safetensors file lies wherever the file has it, and kernels may round differently
    for weights that are not aligned: the same numbers would train to other bytes.
    """
    for weight in part.parameters():
        weight.data = weight.data.clone()
