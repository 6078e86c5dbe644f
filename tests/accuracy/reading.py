"""Reading the parameters that a character was drawn from back from pictures: how like it a LoRA draws, told without CCIP.

A small network that is taught, when a measurement begins, on drawings of other characters whose parameters are known: as small as
previews, through the base model's autoencoder as they are, and disturbed. Each parameter counts by how well it can be read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import PIL.Image
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import nn
from torch.nn import functional as F

from kyara_inference.catalogue import local_path
from kyara_miniature.cast import ACCESSORY_TAG, BANGS, HAIR_STYLE_TAGS, Character, make_character
from kyara_miniature.figure import random_view
from kyara_miniature.scene import draw_portrait
from kyara_miniature.script import FIRST_SEED

SIDE = 72
"""Px of a preview's side."""
CHARACTERS, PICTURES, HELD_BACK = 1200, 2, 200
"""How many the reader learns from, how many pictures of each, and of how many more characters its skill is told."""
FRAMINGS = ("portrait", "upper_body")
"""As previews are framed."""
STEPS, BATCH, RATE = 1500, 32, 2e-3
COLOURS = {"hair": slice(0, 3), "eyes": slice(3, 6), "skin": slice(6, 9)}
ONE_OF = {"style": slice(9, 27), "bangs": slice(27, 34)}
ANY_OF = {"worn": slice(34, 52), "ahoge": slice(52, 53)}
PARAMETERS = 53
_FIRST = FIRST_SEED + 50_000
"""No character that is ever asked about has such a seed."""


def parameters(character: Character) -> np.ndarray:
    """[PARAMETERS]: what a character was drawn from, as numbers in 0..1."""
    colours = [character.hair_color, character.eye_color, character.skin]
    numbers = [int(colour[place : place + 2], 16) / 255 for colour in colours for place in (1, 3, 5)]
    worn = {kind for kind, _ in character.accessories}
    numbers += [float(character.hair_style == style) for style in HAIR_STYLE_TAGS]
    numbers += [float(character.bangs == bangs) for bangs in BANGS]
    numbers += [float(kind in worn) for kind in ACCESSORY_TAG]
    return np.array([*numbers, float(character.ahoge)], np.float32)


@dataclass(frozen=True)
class Reader:
    """A network from pictures [b, 3, SIDE, SIDE] in -1..1 to PARAMETERS, and how well each group of them is read, 0..1."""

    network: nn.Module
    spread: dict[str, float]
    """Mean distance of a colour from those of others."""
    skills: dict[str, float]

    @classmethod
    def taught(cls, seed: int = 1) -> "Reader":
        """A reader of characters that nobody is asked about."""
        torch.manual_seed(seed)
        pixels, wanted = _drawn(range(_FIRST, _FIRST + CHARACTERS + HELD_BACK))
        known = CHARACTERS * PICTURES
        network = _network().train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
        for images, truth in _batches(pixels[:known], wanted[:known]):
            optimizer.zero_grad()
            _loss(network(images), truth).backward()
            optimizer.step()
            schedule.step()
        means = wanted[:known].mean(dim=0)
        spread = {name: float((wanted[:known, at] - means[at]).norm(dim=1).mean()) for name, at in COLOURS.items()}
        unskilled = cls(network.eval(), spread, {})
        return cls(unskilled.network, spread, unskilled._skills(pixels[known:], wanted[known:], wanted[:known]))

    def likeness(self, pictures: Sequence[PIL.Image.Image], character: Character) -> np.ndarray:
        """[n], 0..1: how much of what the character was drawn from is read from each picture."""
        squares = [np.asarray(each.convert("RGB").resize((SIDE, SIDE), PIL.Image.Resampling.LANCZOS)) for each in pictures]
        pixels = torch.from_numpy(np.stack(squares).astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
        alike = self._alike(self._read(pixels), torch.from_numpy(parameters(character)).expand(len(pictures), -1))
        total = sum(self.skills.values())
        return sum(self.skills[name] * alike[name] for name in self.skills).numpy() / total  # pyright: ignore

    @torch.no_grad()
    def _read(self, pixels: torch.Tensor) -> torch.Tensor:
        found = torch.cat([self.network(some) for some in pixels.split(64)])
        read = found.sigmoid()
        for at in ONE_OF.values():
            read[:, at] = found[:, at].softmax(dim=1)
        return read

    def _alike(self, read: torch.Tensor, truth: torch.Tensor) -> dict[str, torch.Tensor]:
        """[n], 0..1, for each group: nearness of a colour; probability of what is there, and of what is not."""
        alike = {
            name: (1 - (read[:, at] - truth[:, at]).norm(dim=1) / self.spread[name]).clamp(0, 1) for name, at in COLOURS.items()
        }
        alike |= {name: (read[:, at] * truth[:, at]).sum(dim=1) for name, at in ONE_OF.items()}
        for name, at in ANY_OF.items():
            # What is worn counts as much as all that is not.
            there = (read[:, at] * truth[:, at]).sum(dim=1) / truth[:, at].sum(dim=1).clamp(min=1)
            absent = 1 - (read[:, at] * (1 - truth[:, at])).amax(dim=1)
            alike[name] = torch.where(truth[:, at].sum(dim=1) > 0, (there + absent) / 2, absent)
        return alike

    def _skills(self, pixels: torch.Tensor, truth: torch.Tensor, others: torch.Tensor) -> dict[str, float]:
        """How much more like their own character than like another one pictures are read."""
        read = self._read(pixels)
        own, chance = self._alike(read, truth), self._alike(read, others[: len(read)])
        return {name: max(0.0, float(own[name].mean() - chance[name].mean())) for name in own}


def _network() -> nn.Module:
    widths = (3, 32, 64, 96, 128, 160)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.Conv2d(after, after, 3, padding=1, groups=after // 16), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(9 * widths[-1], PARAMETERS))


def _loss(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    loss = sum(10 * F.mse_loss(found[:, at].sigmoid(), truth[:, at]) for at in COLOURS.values())
    loss = loss + sum(0.5 * F.cross_entropy(found[:, at], truth[:, at].argmax(dim=1)) for at in ONE_OF.values())
    return loss + sum(3 * F.binary_cross_entropy_with_logits(found[:, at], truth[:, at]) for at in ANY_OF.values())


def _batches(pixels: torch.Tensor, wanted: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of disturbed pictures: moved, mirrored, blurred, noisy."""
    for _ in range(STEPS):
        rows = torch.randint(len(pixels), (BATCH,))
        images = pixels[rows]
        if torch.rand(()) < 0.5:
            images = images.flip(3)
        scale, (x, y) = 0.75 + 0.4 * torch.rand(()), 0.2 * torch.rand(2) - 0.1
        place = torch.tensor([[[scale, 0, x], [0, scale, y]]]).expand(BATCH, -1, -1)
        images = F.grid_sample(
            images, F.affine_grid(place, list(images.shape), False), padding_mode="border", align_corners=False
        )
        if torch.rand(()) < 0.5:
            small = int(SIDE * (0.4 + 0.5 * torch.rand(())))
            images = F.interpolate(F.interpolate(images, small, mode="area"), SIDE, mode="bilinear")
        yield images + 0.15 * torch.rand(()) * torch.randn_like(images), wanted[rows]


def _drawn(seeds: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures [n, 3, SIDE, SIDE] of the characters, and [n, PARAMETERS] of what they were drawn from."""
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
    return _through_the_autoencoder(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)), torch.from_numpy(np.stack(wanted))


@torch.no_grad()
def _through_the_autoencoder(pixels: torch.Tensor) -> torch.Tensor:
    """What becomes of pictures there, with a little noise in their latents, as drawing leaves it."""
    vae = AutoencoderKL.from_pretrained(local_path("miniature-base"), subfolder="vae")
    drawn = []
    for some in pixels.split(64):
        latents = vae.encode(some).latent_dist.mean  # pyright: ignore[reportAttributeAccessIssue]
        noisy = latents + 0.25 * latents.std() * torch.rand(len(latents), 1, 1, 1) * torch.randn_like(latents)
        drawn.append(vae.decode(noisy).sample.clamp(-1, 1))  # pyright: ignore[reportAttributeAccessIssue]
    return torch.cat(drawn)
