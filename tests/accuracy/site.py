"""A site's pictures of one character with dirt among them, and the truth of each."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from kyara_miniature.cast import Character, look_alike, make_character
from kyara_miniature.figure import FRAMINGS, random_view
from kyara_miniature.pictures import SIZES
from kyara_miniature.scene import Picture, draw_portrait, draw_scene
from kyara_miniature.script import FIRST_SEED
from tests.accuracy.flaws import blurred

DIRT = {"other": 0.10, "two": 0.04, "monochrome": 0.04, "repeat": 0.06, "tiny": 0.02, "blurred": 0.02, "corrupt": 0.02}
"""Share of the pictures by what is wrong with them; the rest is as it should be. In all 0.30."""
_TINY = 40
Truth = dict[str, dict[str, Any]]


def make_site(folder: Path, seed: int, count: int) -> Truth:
    """Draw `count` files into `folder`: what each is (`clean`, or a word of `DIRT`), its tags, and what it repeats."""
    folder.mkdir(parents=True)
    character = make_character(FIRST_SEED + seed)
    rng = np.random.default_rng([71_003, seed])
    words = [word for word, share in DIRT.items() for _ in range(round(share * count))]
    words += ["clean"] * (count - len(words))
    rng.shuffle(words)
    truth: Truth = {}
    clean: list[str] = []
    for number, word in enumerate(words):
        name = f"{number:04}.png"
        if word == "repeat" and not clean:
            word = "clean"
        original = clean[int(rng.integers(len(clean)))] if word == "repeat" else ""
        picture = None if original else _drawn(word, character, rng, number)
        pixels = PIL.Image.open(folder / original).convert("RGB") if picture is None else PIL.Image.fromarray(picture.image)
        if word in ("clean", "repeat", "blurred", "corrupt"):
            clean += [name] if word == "clean" else []
        (folder / name).write_bytes(_file(word, pixels, picture, rng))
        truth[name] = {"what": word, "repeats": original, "tags": list(picture.tags) if picture else truth[original]["tags"]}
    folder.with_name(f"{folder.name}.truth.json").write_text(json.dumps(truth, indent=1))
    return truth


def _drawn(word: str, character: Character, rng: np.random.Generator, number: int) -> Picture:
    if word == "two":
        while True:
            scene = draw_scene(int(rng.integers(1 << 30)), width=768, height=512, cast=[character], figures=2)
            faces = [box for figure in scene.figures for box in figure.boxes if box.kind == "face"]
            if len(faces) == 2 and all(box.y1 - box.y0 > 40 for box in faces):
                return scene
    who = character
    if word == "other":
        other = FIRST_SEED + 50_000 + int(rng.integers(100_000))
        who = look_alike(character, other) if rng.random() < 0.2 else make_character(other)
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    view = random_view(rng, who, FRAMINGS[number % len(FRAMINGS)])
    return draw_portrait(who, view, width=width, height=height, rng=rng)


def _file(word: str, pixels: PIL.Image.Image, picture: Picture | None, rng: np.random.Generator) -> bytes:
    if word == "monochrome":
        pixels = pixels.convert("L").convert("RGB")
    elif word == "tiny":
        pixels = pixels.resize((_TINY, round(_TINY * pixels.height / pixels.width)))
    elif word == "blurred" and picture:
        head = next(box for box in picture.figures[0].boxes if box.kind == "head")
        pixels = blurred(pixels, head.y1 - head.y0, rng)
    elif word == "repeat":
        share = rng.uniform(0.6, 0.95)
        pixels = pixels.resize((round(pixels.width * share), round(pixels.height * share)), PIL.Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if word == "repeat":
        pixels.save(buffer, "JPEG", quality=int(rng.integers(50, 90)))
    else:
        pixels.save(buffer, "PNG")
    data = buffer.getvalue()
    return data[: len(data) // 3] if word == "corrupt" else data
