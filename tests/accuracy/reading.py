"""Reading the parameters that a character was drawn from back from pictures: how like it a LoRA draws, told without CCIP.

A ridge regression to the parameters (colours of hair, eyes and skin; hair style, bangs, what is worn) from what a picture shows:
the miniature tagger's embedding, its colours, and itself, very small. It is fitted on drawings of other characters, as small as
previews and through the base model's autoencoder as they are. Each parameter counts by how well it can be read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
import PIL.Image
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from kyara_inference.catalogue import local_path
from kyara_miniature.cast import ACCESSORY_TAG, BANGS, HAIR_STYLE_TAGS, Character, make_character
from kyara_miniature.figure import random_view
from kyara_miniature.scene import draw_portrait
from kyara_miniature.script import FIRST_SEED

SIDE = 72
"""Px of a preview's side."""
CHARACTERS, PICTURES, HELD_BACK = 600, 2, 100
"""How many the reader learns from, how many pictures of each, and of how many more its skill is told."""
FRAMINGS = ("portrait", "upper_body")
"""As previews are framed."""
GROUPS = {
    "hair": slice(0, 3), "eyes": slice(3, 6), "skin": slice(6, 9), "style": slice(9, 27), "bangs": slice(27, 34),
    "worn": slice(34, 52), "ahoge": slice(52, 53), "boy": slice(53, 54),
}  # fmt: skip
RIDGE = 1.0
LEVELS, THUMB = 6, 9
"""Levels of each channel that colours are counted in, and px of the very small picture."""
LEAST_APART = 0.15
"""Distance of a character from the average that counts at least: one who is average cannot be told by a smaller one."""
_FIRST = FIRST_SEED + 50_000
"""No character that is ever asked about has such a seed."""


def parameters(character: Character) -> np.ndarray:
    """[54], 0..1: what a character was drawn from, as numbers, in the order of GROUPS."""
    colours = [character.hair_color, character.eye_color, character.skin]
    numbers = [int(colour[place : place + 2], 16) / 255 for colour in colours for place in (1, 3, 5)]
    worn = {kind for kind, _ in character.accessories}
    numbers += [float(character.hair_style == style) for style in HAIR_STYLE_TAGS]
    numbers += [float(character.bangs == bangs) for bangs in BANGS]
    numbers += [float(kind in worn) for kind in ACCESSORY_TAG]
    return np.array([*numbers, float(character.ahoge), float(character.boy)])


@dataclass(frozen=True)
class Reader:
    """parameters = (what is shown - middle) / spread @ weights + average."""

    middle: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    average: np.ndarray
    skills: dict[str, float]
    """How much of each group's variance among characters is read, 0..1."""

    @classmethod
    def fitted(cls) -> "Reader":
        """A reader of characters that nobody is asked about."""
        pictures, wanted = _drawn(range(_FIRST, _FIRST + CHARACTERS + HELD_BACK))
        shown, known = _shown(pictures), CHARACTERS * PICTURES
        first = cls._solved(shown[:known], wanted[:known], {})
        wrong = (first._read(shown[known:]) - wanted[known:]) ** 2
        spread = (first.average - wanted[known:]) ** 2
        skills = {name: max(0.0, float(1 - wrong[:, at].sum() / spread[:, at].sum())) for name, at in GROUPS.items()}
        return cls._solved(shown, wanted, skills)

    @classmethod
    def _solved(cls, shown: np.ndarray, wanted: np.ndarray, skills: dict[str, float]) -> "Reader":
        middle, spread, average = shown.mean(axis=0), shown.std(axis=0) + 1e-6, wanted.mean(axis=0)
        inputs = (shown - middle) / spread
        penalty = RIDGE * len(inputs) * np.eye(inputs.shape[1])
        return cls(middle, spread, np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ (wanted - average)), average, skills)

    def likeness(self, pictures: Sequence[PIL.Image.Image], character: Character) -> np.ndarray:
        """[n], -1..1: how near what is read from each picture is to the character, 1 its own parameters, 0 the average's."""
        read, wanted = self._read(_shown(pictures)), parameters(character)
        found = np.zeros(len(pictures))
        for name, at in GROUPS.items():
            far = np.linalg.norm(read[:, at] - wanted[at], axis=1)
            apart = max(float(np.linalg.norm(self.average[at] - wanted[at])), LEAST_APART)
            found += self.skills[name] * np.clip(1 - far / apart, -1, 1)
        return found / sum(self.skills.values())

    def _read(self, shown: np.ndarray) -> np.ndarray:
        return np.clip((shown - self.middle) / self.spread @ self.weights + self.average, 0, 1)


def _shown(pictures: Sequence[PIL.Image.Image]) -> np.ndarray:
    """[n, features]: the tagger's embedding, how much of each colour is about the middle, and the picture very small."""
    small = [picture.convert("RGB").resize((SIDE, SIDE), PIL.Image.Resampling.LANCZOS) for picture in pictures]
    colours, thumbs = [], []
    for picture in small:
        pixels = np.asarray(picture, np.int64)[8:60, 12:60].reshape(-1, 3) * LEVELS // 256
        counts = np.bincount(pixels @ (LEVELS**2, LEVELS, 1), minlength=LEVELS**3)
        colours.append(np.sqrt(counts / len(pixels)))
        thumbs.append(np.asarray(picture.resize((THUMB, THUMB), PIL.Image.Resampling.BOX), float).ravel() / 255)
    return np.hstack([_embedded(small), colours, thumbs])


def _embedded(pictures: Sequence[PIL.Image.Image]) -> np.ndarray:
    """[n, 352] of the tagger."""
    session = onnxruntime.InferenceSession(local_path("miniature-tagger") / "model.onnx", providers=["CPUExecutionProvider"])
    found = []
    for first in range(0, len(pictures), 32):
        large = [each.resize((448, 448), PIL.Image.Resampling.BICUBIC) for each in pictures[first : first + 32]]
        (answer,) = session.run(["embedding"], {"input": np.stack([np.asarray(each, np.float32)[:, :, ::-1] for each in large])})
        found.append(np.asarray(answer, np.float64))
    return np.concatenate(found)


def _drawn(seeds: Sequence[int]) -> tuple[list[PIL.Image.Image], np.ndarray]:
    """Pictures of the characters, and [n, 54] of what they were drawn from."""
    pixels, wanted = [], []
    for seed in seeds:
        character = make_character(seed)
        for number in range(PICTURES):
            rng = np.random.default_rng([seed, number])
            view = random_view(rng, character, FRAMINGS[number % len(FRAMINGS)])
            picture = draw_portrait(character, view, width=2 * SIDE, height=2 * SIDE, rng=rng)
            small = PIL.Image.fromarray(picture.image).resize((SIDE, SIDE), PIL.Image.Resampling.LANCZOS)
            pixels.append(np.asarray(small, np.float32) / 127.5 - 1)
            wanted.append(parameters(character))
    return _through_the_autoencoder(np.stack(pixels)), np.stack(wanted)


@torch.no_grad()
def _through_the_autoencoder(pixels: np.ndarray) -> list[PIL.Image.Image]:
    vae = AutoencoderKL.from_pretrained(local_path("miniature-base"), subfolder="vae")
    drawn: list[PIL.Image.Image] = []
    for some in torch.from_numpy(pixels).permute(0, 3, 1, 2).split(64):
        made = vae.decode(vae.encode(some).latent_dist.mean).sample  # pyright: ignore[reportAttributeAccessIssue]
        levels = ((made.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        drawn += [PIL.Image.fromarray(each) for each in levels]
    return drawn
