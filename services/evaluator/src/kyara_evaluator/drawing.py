"""Drawing previews: the base model with at most one LoRA, every prompt in one batch.

A prompt starts from the same noise at every step, drawn on the CPU, so that saves compare like with like.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from kyara_evaluator.request import DrawRequest
from kyara_evaluator.weighting import encode_prompts
from kyara_evaluator.words import UnfitWordsError, in_place_of, own_words, read_words

ADAPTER = "preview"


class UnfitLoraError(ValueError):
    """The LoRA, or its words, cannot be drawn with on this base model; the message says why."""


@dataclass(frozen=True)
class Drawn:
    """A preview."""

    pixels: np.ndarray
    """[h, w, 3] uint8 RGB."""
    finite: bool
    """False when the model gave numbers that are no colours; they are black here."""


class Previewer:
    """A base model in memory, ready to draw with any LoRA for it."""

    def __init__(self, folder: Path, threads: int) -> None:
        _be_deterministic(threads)
        self._pipeline: Any = StableDiffusionPipeline.from_pretrained(
            str(folder), safety_checker=None, requires_safety_checker=False, dtype=torch.float32
        ).to("cuda" if torch.cuda.is_available() else "cpu")
        # DPM++ 2M Karras, by the community's name.
        self._pipeline.scheduler = DPMSolverMultistepScheduler.from_config(
            self._pipeline.scheduler.config, use_karras_sigmas=True
        )
        self._pipeline.set_progress_bar_config(disable=True)

    @torch.no_grad()
    def draw(self, request: DrawRequest, lora: Path | None, words: Path | None = None) -> list[Drawn]:
        """One picture a prompt, in their order. Raises UnfitLoraError."""
        pipeline = self._pipeline
        try:
            if lora is not None:
                self._load(lora, request.lora_weight)
            for part in (pipeline.unet, pipeline.text_encoder, pipeline.vae):
                _align(part)
            with own_words(pipeline, read_words(words) if words else None) as names:
                pictures = self._pictures(request, names)
        except UnfitWordsError as error:
            raise UnfitLoraError(str(error)) from error
        finally:
            pipeline.unload_lora_weights()
        return [_drawn(picture) for picture in pictures]

    def _load(self, lora: Path, weight: float) -> None:
        """Lay the LoRA over the base model. Raises UnfitLoraError."""
        try:
            self._pipeline.load_lora_weights(str(lora), adapter_name=ADAPTER)
            self._pipeline.set_adapters(ADAPTER, weight)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
            # What is wrong with a file is told in as many ways as there are formats; the first line names the part.
            why = str(error).strip().split("\n")[0][:300]
            raise UnfitLoraError(f"it does not fit the base model that previews are drawn with: {why}") from error

    def _pictures(self, request: DrawRequest, names: list[str]) -> np.ndarray:
        pipeline, prompts = self._pipeline, request.prompts
        texts = [in_place_of(request.trigger, names, prompt["text"]) for prompt in prompts]
        negatives = [prompt["negative"] for prompt in prompts]
        states = encode_prompts(pipeline.tokenizer, pipeline.text_encoder, [*texts, *negatives], request.clip_skip)
        return pipeline(
            prompt_embeds=states[: len(prompts)],
            negative_prompt_embeds=states[len(prompts) :],
            width=request.width,
            height=request.height,
            num_inference_steps=request.sampler_steps,
            guidance_scale=request.guidance,
            generator=[torch.Generator().manual_seed(prompt["seed"]) for prompt in prompts],
            output_type="np",
        ).images


def _drawn(picture: np.ndarray) -> Drawn:
    finite = bool(np.isfinite(picture).all())
    clean = np.clip(np.nan_to_num(picture), 0.0, 1.0) if finite else np.zeros_like(picture)
    return Drawn((clean * 255).round().astype(np.uint8), finite)


def _align(part: torch.nn.Module) -> None:
    """Give every weight memory of its own: kernels may round differently for a view into a file that is not aligned."""
    for weight in part.parameters():
        if weight.data_ptr() % 64:
            weight.data = weight.data.clone()


def _be_deterministic(threads: int) -> None:
    # cuBLAS needs its workspace fixed before its first call to be deterministic.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(threads)
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
