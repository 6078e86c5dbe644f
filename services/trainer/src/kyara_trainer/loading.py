"""From a path to a base model: the family is what the files say it is."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from kyara_inference.own import CHECKPOINT
from kyara_trainer.model import BaseModel, TextEncoder
from kyara_trainer.sd15 import StableDiffusion15
from kyara_trainer.sdxl import StableDiffusionXL

FAMILIES = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")


class UnfitBaseError(Exception):
    """The files are no base model that can be trained on; the message says which they are and what to do."""


def load_base(folder: Path, device: torch.device) -> BaseModel:
    """Load the diffusers folder at `folder`, every weight frozen. Raises UnfitBaseError; OSError when a part is missing.

    It may hold Stable Diffusion 1.5 as one file, CHECKPOINT, in place of its parts' weights.
    """
    # A service's log is no place for progress bars.
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    kind = _pipeline_of(folder)
    if kind == "StableDiffusionXLPipeline":
        pipeline: Any = StableDiffusionXLPipeline.from_pretrained(str(folder), dtype=torch.float32)
        encoders = {
            "lora_te1": TextEncoder(pipeline.text_encoder, pipeline.tokenizer),
            "lora_te2": TextEncoder(pipeline.text_encoder_2, pipeline.tokenizer_2),
        }
        family: type[BaseModel] = StableDiffusionXL
    else:
        pipeline = _sd15(folder)
        encoders = {"lora_te": TextEncoder(pipeline.text_encoder, pipeline.tokenizer)}
        family = StableDiffusion15
    return _frozen(family, pipeline.to(device), encoders, device)


def _sd15(folder: Path) -> Any:
    unused = {"safety_checker": None, "requires_safety_checker": False, "feature_extractor": None}
    how: dict[str, Any] = {**unused, "dtype": torch.float32}
    one = folder / CHECKPOINT
    if one.is_file():
        return StableDiffusionPipeline.from_single_file(str(one), config=str(folder), local_files_only=True, **how)
    return StableDiffusionPipeline.from_pretrained(str(folder), **how)


def _pipeline_of(folder: Path) -> str:
    index = folder / "model_index.json"
    if not index.is_file():
        raise UnfitBaseError(f"{folder.name} is no diffusers folder: it has no model_index.json")
    kind = str(json.loads(index.read_text(encoding="utf-8")).get("_class_name"))
    if kind not in FAMILIES:
        raise UnfitBaseError(f"{folder.name} is a {kind}; a LoRA can be trained on {' and '.join(FAMILIES)}")
    return kind


def _frozen(family: type[BaseModel], pipeline: Any, encoders: dict[str, TextEncoder], device: torch.device) -> BaseModel:
    for part in (pipeline.unet, pipeline.vae, *(encoder.model for encoder in encoders.values())):
        part.requires_grad_(False)
        part.eval()
        align(part)
    noise = DDPMScheduler.from_config(pipeline.scheduler.config)
    assert isinstance(noise, DDPMScheduler)
    return family(unet=pipeline.unet, vae=pipeline.vae, text_encoders=encoders, noise=noise, device=device)


def align(part: torch.nn.Module) -> None:
    """Give every weight memory of its own.

    A weight that is a view into a safetensors file lies wherever the file has it, and kernels may round differently
    for weights that are not aligned: the same numbers would train to other bytes.
    """
    for weight in part.parameters():
        weight.data = weight.data.clone()
