"""Drawing previews: the base model with at most one LoRA, some prompts at once.

A prompt starts from the same noise at every step, drawn on the CPU, so that saves compare like with like. Its picture does not
depend on which other prompts are drawn, or how many.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from kyara_evaluator.request import DrawRequest
from kyara_evaluator.weighting import encode_prompts
from kyara_evaluator.words import UnfitWordsError, in_place_of, own_words, read_words
from kyara_inference.own import CHECKPOINT

ADAPTER = "preview"
BATCH = 4
"""Prompts that are drawn at once, never more or fewer: kernels round differently for another number."""
DPM = "DPMSolverMultistepScheduler"


class UnfitLoraError(ValueError):
    """The LoRA, or its words, cannot be drawn with on this base model; the message says why."""


class UnknownSchedulerError(ValueError):
    """Nothing is called so that the pipeline can draw with; the message says what there is."""


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
        self._pipeline: Any = _pipeline_in(folder).to("cuda" if torch.cuda.is_available() else "cpu")
        self._trained_with = self._pipeline.scheduler.config
        self._pipeline.set_progress_bar_config(disable=True)

    @torch.no_grad()
    def draw(self, request: DrawRequest, lora: Path | None, words: Path | None = None) -> list[Drawn]:
        """One picture a prompt, in their order. Raises UnfitLoraError, UnknownSchedulerError."""
        pipeline = self._pipeline
        pipeline.scheduler = scheduler_named(request.scheduler, self._trained_with)
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

    def _pictures(self, request: DrawRequest, names: list[str]) -> list[np.ndarray]:
        pictures: list[np.ndarray] = []
        for first in range(0, len(request.prompts), BATCH):
            some = request.prompts[first : first + BATCH]
            # The last ones are drawn again in the places that nobody needs.
            full = [*some, *[some[-1]] * (BATCH - len(some))]
            pictures += list(self._batch(request, full, names))[: len(some)]
        return pictures

    def _batch(self, request: DrawRequest, prompts: Sequence[dict[str, Any]], names: list[str]) -> np.ndarray:
        pipeline = self._pipeline
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


def scheduler_named(name: str, trained_with: Any) -> Any:
    """A scheduler of diffusers by its class, for a model whose own has the config `trained_with`; none is DPM++ 2M Karras.

    Raises UnknownSchedulerError.
    """
    # Noise of this one is of a batch as a whole: a picture would depend on the others.
    known = {each.name for each in KarrasDiffusionSchedulers} - {"DPMSolverSDEScheduler"}
    if name and name not in known:
        raise UnknownSchedulerError(f"there is no scheduler {name!r} for previews; there are {', '.join(sorted(known))}")
    changes = {} if name else {"use_karras_sigmas": True}
    return getattr(diffusers, name or DPM).from_config(trained_with, **changes)


def _pipeline_in(folder: Path) -> Any:
    """The model of a diffusers folder, or of the one file whose configs the folder holds."""
    unused = {"safety_checker": None, "requires_safety_checker": False, "feature_extractor": None}
    how: dict[str, Any] = {**unused, "dtype": torch.float32}
    one = folder / CHECKPOINT
    if one.is_file():
        return StableDiffusionPipeline.from_single_file(str(one), config=str(folder), local_files_only=True, **how)
    return StableDiffusionPipeline.from_pretrained(str(folder), **how)


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
