"""Training of the miniature base model: a latent diffusion model in Stable Diffusion 1.5's shape, prompted by tags.

The folder that it writes loads with `StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_pndm import PNDMScheduler
from transformers import CLIPTextModel, CLIPTokenizer

from kyara_miniature.train.base_data import draw_examples, training_examples
from kyara_miniature.train.base_loop import Course
from kyara_miniature.train.base_quality import contact_sheet, prompt_agreement
from kyara_miniature.train.base_reading import train_text
from kyara_miniature.train.base_text import write_tokenizer
from kyara_miniature.train.base_unet import BATCH, SCHEDULE, train_denoiser
from kyara_miniature.train.base_vae import encoded, psnr, train_vae
from kyara_miniature.train.export import parameters, write_card

SEED = 40
UNSEEN = 900_000
"""First seed of the pictures that quality is measured on."""


@dataclass(frozen=True)
class Size:
    """How much is drawn and trained."""

    drawings: int
    vae_steps: int
    text_steps: int
    steps: int
    steps_again: int
    unseen: int


FULL = Size(drawings=6000, vae_steps=4000, text_steps=1000, steps=3600, steps_again=3600, unseen=120)
SMOKE = Size(drawings=40, vae_steps=4, text_steps=4, steps=4, steps_again=4, unseen=6)


def base(out: Path, work: Path, smoke: bool) -> None:
    """Train and write the diffusers folder `out` with its `card.json`; drawings and checkpoints are kept in `work`.

    A run that was killed goes on from its last checkpoint in `work`. On the way, `work/base` is a usable model.
    """
    size = SMOKE if smoke else FULL
    torch.manual_seed(SEED)
    work = work / "smoke" if smoke else work
    examples = training_examples(work, size.drawings)
    vae, vae_course = train_vae(examples, size.vae_steps, work)
    vae_psnr = round(psnr(vae, draw_examples(size.unseen, UNSEEN)), 2)
    print(f"  autoencoder: {vae_psnr} dB on unseen drawings", flush=True)
    latents = encoded(vae, examples, work)
    tokenizer = write_tokenizer(work / "tokenizer")

    text, text_course = train_text(tokenizer, np.concatenate([e.tags for e in examples]), size.text_steps, work)

    def look(unet: UNet2DConditionModel, step: int) -> None:
        if step % 600 == 0:
            contact_sheet(write(work / "base", vae, text, tokenizer, unet), work / f"sheet-{step:05d}.png")

    torch.manual_seed(SEED)
    courses = (
        Course("unet", size.steps, 8e-4, warm_up=200),
        Course("unet-again", size.steps_again, 8e-4, warm_up=200),
    )
    unet, unet_courses = train_denoiser(latents, examples, tokenizer, text, courses, work, look)
    pipeline = write(out, vae, text, tokenizer, unet)
    contact_sheet(pipeline, work / "sheet.png")
    quality: dict[str, object] = {"vae_psnr_db_unseen_drawings": vae_psnr}
    tagger = out.parent / "tagger"
    if (tagger / "model.onnx").exists():
        quality["prompt_agreement"] = prompt_agreement(pipeline, tagger, UNSEEN, prompts=4 if smoke else 48)
    write_card(
        out,
        {
            "what": "base model of the miniature world: Stable Diffusion 1.5's shape, prompted by tags",
            "seed": SEED,
            "parameters": {"unet": parameters(unet), "text_encoder": parameters(text), "vae": parameters(vae)},
            "drawings": size.drawings,
            "pictures": sum(len(bucket.pictures) for bucket in examples),
            "vae": vars(vae_course),
            "text_encoder": vars(text_course),
            "unet": {"batch": BATCH, "courses": [vars(course) for course in unet_courses]},
            "training_minutes": round(sum(c.minutes for c in (vae_course, text_course, *unet_courses)), 1),
            "quality": quality,
        },
    )


def write(
    folder: Path, vae: AutoencoderKL, text: CLIPTextModel, tokenizer: CLIPTokenizer, unet: UNet2DConditionModel
) -> StableDiffusionPipeline:
    """Write the diffusers folder and load it back as float32.

    UNet and autoencoder are written as float16, which loses nothing to be seen; the text model is small, and
    transformers would keep float16 when it loads.
    """
    scheduler: Any = PNDMScheduler(**SCHEDULE, set_alpha_to_one=False, skip_prk_steps=True, steps_offset=1)
    StableDiffusionPipeline(
        vae=copy.deepcopy(vae).half(),
        text_encoder=text,
        tokenizer=tokenizer,
        unet=copy.deepcopy(unet).half(),
        scheduler=scheduler,
        safety_checker=cast(Any, None),
        feature_extractor=cast(Any, None),
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, torch_dtype=torch.float32)
