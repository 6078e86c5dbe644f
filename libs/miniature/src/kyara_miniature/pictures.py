"""A folder of pictures of one character, as somebody who wants a LoRA of them would have collected."""

import json
from pathlib import Path

import numpy as np
import PIL.Image

from kyara_miniature.cast import Character, make_character
from kyara_miniature.figure import FRAMINGS, random_view
from kyara_miniature.scene import draw_portrait
from kyara_miniature.script import FIRST_SEED

SIZES = ((640, 640), (512, 768), (768, 512), (600, 800))
"""Width and height of the pictures, in px."""


def make_pictures(folder: Path, seed: int, *, count: int = 40) -> Character:
    """`draw_pictures` of a character that training never sees."""
    character = make_character(FIRST_SEED + seed)
    draw_pictures(folder, character, seed, count=count)
    return character


def draw_pictures(folder: Path, character: Character, seed: int, *, count: int) -> None:
    """Draw `count` PNG files of one character into `folder` (made if absent).

    Outfits, framings, moods and backgrounds vary; the same seed gives the same bytes. The truth lies next to the folder, as
    `<folder>.truth.json`: a picture's name -> identity, outfit, tags.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truth: dict[str, dict[str, object]] = {}
    for number in range(count):
        rng = np.random.default_rng([90_021, seed, number])
        view = random_view(rng, character, FRAMINGS[number % len(FRAMINGS)])
        width, height = SIZES[int(rng.integers(len(SIZES)))]
        picture = draw_portrait(character, view, width=width, height=height, rng=rng)
        name = f"{number:03d}.png"
        PIL.Image.fromarray(picture.image).save(folder / name)
        figure = picture.figures[0]
        truth[name] = {"identity": figure.identity, "outfit": figure.outfit, "tags": picture.tags}
    folder.with_name(f"{folder.name}.truth.json").write_text(json.dumps(truth, indent=1))
