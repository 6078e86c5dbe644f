"""How good the base model is: sheets to look at, and how well its pictures follow their prompts."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from PIL import Image

from kyara_miniature.cast import make_character

STEPS = 20
GUIDANCE = 4.5
SIZE = (64, 96)
SHEET_PROMPTS = (
    "1girl, solo, portrait, pink hair, twintails, blue eyes, smile, serafuku, school uniform",
    "1girl, solo, upper body, black hair, long hair, blunt bangs, red eyes, miko",
    "1girl, solo, full body, blonde hair, long hair, green eyes, maid, apron, dress",
    "1boy, solo, cowboy shot, blue hair, short hair, spiked hair, yellow eyes, suit, necktie",
    "1girl, solo, upper body, white hair, short hair, purple eyes, horns, hoodie, open mouth",
    "1girl, solo, full body, green hair, ponytail, brown eyes, kimono, arms up, smile",
    "1girl, solo, portrait, purple hair, short hair, yellow eyes, glasses, sweater",
    "1girl, solo, cowboy shot, red hair, drill hair, aqua eyes, witch hat, armor",
)


def sample(pipeline: StableDiffusionPipeline, prompts: list[str], seed: int) -> np.ndarray:
    """One picture a prompt, [n, h, w, 3] uint8, by DPM++ 2M Karras, each with its own seed from `seed` on."""
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config, use_karras_sigmas=True)
    pipeline.set_progress_bar_config(disable=True)
    pictures: list[np.ndarray] = []
    for i in range(0, len(prompts), 8):
        chunk = prompts[i : i + 8]
        result: Any = pipeline(
            chunk, width=SIZE[0], height=SIZE[1], num_inference_steps=STEPS, guidance_scale=GUIDANCE,
            generator=[torch.Generator().manual_seed(seed + i + n) for n in range(len(chunk))], output_type="np",
        )  # fmt: skip
        pictures.append((result.images * 255).round().astype(np.uint8))
    return np.concatenate(pictures)


def contact_sheet(pipeline: StableDiffusionPipeline, path: Path) -> None:
    """Write a sheet with two pictures of each of SHEET_PROMPTS, three times their size."""
    pictures = sample(pipeline, [*SHEET_PROMPTS, *SHEET_PROMPTS], seed=1)
    half = len(SHEET_PROMPTS)
    rows = [np.concatenate(list(pictures[i : i + half]), axis=1) for i in (0, half)]
    sheet = Image.fromarray(np.concatenate(rows, axis=0))
    sheet.resize((sheet.width * 3, sheet.height * 3), Image.Resampling.BICUBIC).save(path)


def prompt_agreement(pipeline: StableDiffusionPipeline, tagger: Path, first_seed: int, prompts: int) -> dict[str, float]:
    """What the tagger in the folder `tagger` sees of the hair, eyes and outfit that prompts ask for.

    `recall` is the share of the asked tags that it sees (at 0.35); `chance` is the same with the pictures of other
    prompts, so what a model that ignores its prompt would get.
    """
    asked = [_asked(seed) for seed in range(first_seed, first_seed + prompts)]
    pictures = sample(pipeline, [", ".join(t.replace("_", " ") for t in tags) for tags in asked], first_seed)
    seen = _tagged(pictures, tagger)
    fixed = {"solo", "1girl", "1boy", "upper_body"}

    def recall(shift: int) -> float:
        hits = [tag in seen[(i + shift) % prompts] for i, tags in enumerate(asked) for tag in tags if tag not in fixed]
        return round(float(np.mean(hits)), 3)

    return {"prompts": prompts, "recall": recall(0), "chance": recall(1)}


def _asked(seed: int) -> tuple[str, ...]:
    character = make_character(seed)
    count = "1boy" if character.boy else "1girl"
    return (count, "solo", "upper_body", *character.tags, *character.outfits[0].tags)


def _tagged(pictures: np.ndarray, tagger: Path) -> list[set[str]]:
    """The general tags of each picture, read as a WD14 tagger is: BGR, padded to a white square, 448 px."""
    session = onnxruntime.InferenceSession(tagger / "model.onnx", providers=["CPUExecutionProvider"])
    with (tagger / "selected_tags.csv").open(newline="") as file:
        names = [(row["name"], row["category"] == "0") for row in csv.DictReader(file)]
    found: list[set[str]] = []
    for picture in pictures:
        side = max(picture.shape[:2])
        square = Image.new("RGB", (side, side), "white")
        square.paste(Image.fromarray(picture), ((side - picture.shape[1]) // 2, (side - picture.shape[0]) // 2))
        large = np.asarray(square.resize((448, 448), Image.Resampling.BICUBIC), dtype=np.float32)[None, :, :, ::-1]
        output = session.run(["output"], {session.get_inputs()[0].name: np.ascontiguousarray(large)})[0]
        scores = np.asarray(output)[0]
        found.append({name for (name, general), score in zip(names, scores, strict=True) if general and score >= 0.35})
    return found
