"""How good a CLIP's files are: whether a picture's caption is told from others that differ in outfit, pose or frame.

Characters and pictures are such as training never sees; the files are run by onnxruntime, and pictures and texts are made
ready as dghs-imgutils does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image
from tokenizers import Tokenizer

from kyara_miniature.cast import OUTFIT_KIND_TAGS, Character, make_character
from kyara_miniature.figure import random_view, visible_tags
from kyara_miniature.hand import HOUSE, random_hand
from kyara_miniature.scene import draw_portrait
from kyara_miniature.tags import OUTFIT_TAGS, POSE_TAGS
from kyara_miniature.train.clip_data import SIZE, spelt
from kyara_miniature.train.recognise_net import CLIP_MEAN, CLIP_STD

UNSEEN = 5_000_000
PREVIEW = 72
"""Px of a preview's side."""
OTHERS = 31
_FRAMINGS = ("upper_body", "cowboy_shot", "full_body")
"""Without `portrait`, which shows no outfit."""


class ClipFiles:
    """A CLIP's ONNX files and its tokenizer."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._sessions = {
            name: onnxruntime.InferenceSession(folder / f"{name}_encode.onnx", options, providers=["CPUExecutionProvider"])
            for name in ("image", "text")
        }
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def pictures(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Unit vectors [n, 512] of square RGB pictures."""
        large = [Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC) for image in images]
        pixels = (np.stack([np.asarray(each, dtype=np.float32) for each in large]) / 255 - CLIP_MEAN) / CLIP_STD
        return self._run("image", {"pixel_values": pixels.transpose(0, 3, 1, 2).astype(np.float32)})

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors [n, 512]."""
        ids, mask = spelt(self._tokenizer, texts)
        return self._run("text", {"input_ids": ids, "attention_mask": mask})

    def _run(self, name: str, inputs: dict[str, np.ndarray]) -> np.ndarray:
        return np.asarray(self._sessions[name].run(["embeddings"], inputs)[0])


@dataclass(frozen=True)
class Asked:
    """What a picture was asked for, beside its character."""

    outfit: tuple[str, ...]
    framing: str
    pose: str
    """Empty for none in particular."""

    def prompt(self, character: Character) -> str:
        """As the recipes' prompts are written, of what such a picture can show."""
        shown = visible_tags((*self.outfit, *([self.pose] if self.pose else [])), self.framing)
        return ", ".join(word.replace("_", " ") for word in (*character.tags, "solo", self.framing, *shown))


def others(asked: Asked, shown: Sequence[str], rng: np.random.Generator, kind: str) -> list[Asked]:
    """At most OTHERS that a picture which shows `shown` does not fit: of another outfit, framing or pose, or any (`mixed`)."""
    outfits = list(OUTFIT_KIND_TAGS.values()) if kind in ("outfit", "mixed") else [asked.outfit]
    framings = _FRAMINGS if kind in ("framing", "mixed") else [asked.framing]
    poses = POSE_TAGS if kind in ("pose", "mixed") else [asked.pose]
    all_ = [Asked(outfit, framing, pose) for outfit in outfits for framing in framings for pose in poses]
    wrong = [
        each for each in all_ if not {*visible_tags((*each.outfit, each.pose), each.framing), each.framing} - {""} <= {*shown}
    ]
    return [wrong[place] for place in rng.permutation(len(wrong))[:OTHERS]]


def measure(folder: Path, characters: int, first_seed: int = UNSEEN) -> dict[str, Any]:
    """Share of pictures, one of each character and as small as previews, whose own prompt is nearer than all others."""
    files, rng = ClipFiles(folder), np.random.default_rng([first_seed, 29])
    right: dict[str, list[bool]] = {"mixed": [], "outfit": [], "framing": [], "pose": []}
    chances: dict[str, list[float]] = {kind: [] for kind in right}
    own, wrong_outfit = [], []
    for seed in range(first_seed, first_seed + characters):
        character, shown, image, asked = _drawn(seed, rng)
        vector = files.pictures([image])[0]
        for kind, hits in right.items():
            if kind == "pose" and asked.pose not in shown:
                continue
            choices = [asked, *others(asked, shown, rng, kind)]
            alike = files.texts([each.prompt(character) for each in choices]) @ vector
            hits.append(bool(alike[0] > alike[1:].max()))
            chances[kind].append(1 / len(choices))
            if kind == "outfit":
                own.append(alike[0])
                wrong_outfit.append(alike[1:].mean())
    return {
        "pictures": characters,
        "right_of_32": round(float(np.mean(right["mixed"])), 3),
        **{f"right_{kind}": round(float(np.mean(right[kind])), 3) for kind in ("outfit", "framing", "pose")},
        "chance": {kind: round(float(np.mean(each)), 3) for kind, each in chances.items()},
        "similarity": round(float(np.mean(own)), 3),
        "similarity_of_other_outfits": round(float(np.mean(wrong_outfit)), 3),
    }


def _drawn(seed: int, rng: np.random.Generator) -> tuple[Character, tuple[str, ...], np.ndarray, Asked]:
    """A character, what a picture of it shows, the picture, and what was asked for."""
    character = make_character(seed)
    hand = HOUSE if seed % 2 else random_hand(int(rng.integers(1 << 30)))
    view = random_view(rng, character, _FRAMINGS[int(rng.integers(len(_FRAMINGS)))])
    picture = draw_portrait(character, view, width=3 * PREVIEW, height=3 * PREVIEW, hand=hand, rng=rng)
    small = np.asarray(Image.fromarray(picture.image).resize((PREVIEW, PREVIEW), Image.Resampling.LANCZOS))
    outfit = tuple(tag for tag in character.outfits[view.outfit].tags if tag in OUTFIT_TAGS)
    asked = Asked(outfit, view.framing, view.pose if view.pose in POSE_TAGS else "")
    return character, picture.tags, small, asked
