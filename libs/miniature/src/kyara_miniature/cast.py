"""The cast: who a character is, drawn from a seed.

A character is its traits (hair, eyes, skin, accessories, build) and at least two outfits. The same seed always gives
the same character, and the traits are spread so that two seeds seldom look alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kyara_miniature.colour import hsl

HAIR_COLORS: dict[str, tuple[float, float, float]] = {
    "black": (235, 0.20, 0.20), "brown": (22, 0.45, 0.36), "blonde": (45, 0.85, 0.70), "red": (356, 0.72, 0.50),
    "pink": (338, 0.85, 0.77), "orange": (24, 0.90, 0.60), "green": (135, 0.45, 0.50), "aqua": (180, 0.60, 0.62),
    "blue": (216, 0.72, 0.56), "purple": (270, 0.50, 0.60), "white": (225, 0.30, 0.90),
}  # fmt: skip
"""Name -> hue in degrees, saturation, lightness; each identity jitters around it."""

EYE_COLORS: dict[str, tuple[float, float, float]] = {
    "blue": (214, 0.85, 0.52), "red": (355, 0.80, 0.50), "green": (142, 0.65, 0.42), "brown": (22, 0.60, 0.36),
    "purple": (272, 0.65, 0.52), "yellow": (44, 0.95, 0.52), "pink": (330, 0.80, 0.64), "aqua": (180, 0.75, 0.46),
}  # fmt: skip

SKINS = ("#fff0e6", "#ffe9dc", "#fde0cf", "#f6d0b8", "#e3b190", "#b98263")

GIRL_HAIR = (
    "long", "bob", "twintails", "low_twintails", "ponytail", "side_ponytail", "side_braid", "twin_braids", "hime",
    "wavy", "curly", "drill", "bun", "double_bun", "pixie",
)  # fmt: skip
BOY_HAIR = ("spiky", "messy", "pixie", "boy_long")
HAIR_STYLE_TAGS: dict[str, tuple[str, ...]] = {
    "long": ("long_hair",), "bob": ("short_hair",), "twintails": ("long_hair", "twintails"),
    "low_twintails": ("long_hair", "twintails"), "ponytail": ("long_hair", "ponytail"),
    "side_ponytail": ("long_hair", "ponytail"), "side_braid": ("long_hair", "braid"),
    "twin_braids": ("long_hair", "braid"), "hime": ("long_hair",), "wavy": ("long_hair", "wavy_hair"),
    "curly": ("short_hair", "curly_hair"), "drill": ("long_hair", "drill_hair"), "bun": ("short_hair", "hair_bun"),
    "double_bun": ("short_hair", "hair_bun"), "pixie": ("short_hair",), "spiky": ("short_hair", "spiked_hair"),
    "messy": ("short_hair",), "boy_long": ("long_hair", "ponytail"),
}  # fmt: skip
BANGS = ("jagged", "blunt", "swept", "center", "between", "spiky", "arched")
EYE_SHAPES = ("round", "tsurime", "tareme")
HEADGEAR = ("horns_ram", "horns_oni", "horns_dragon", "halo", "witch_hat", "beret", "cat_ears", "fox_ears",
            "rabbit_ears")  # fmt: skip
FACEWEAR = ("glasses_round", "glasses_square", "eyepatch")
HAIRWEAR = ("bow", "side_bow", "clip_star", "clip_bars", "hairband", "flower")
ACCESSORY_TAG: dict[str, str] = {
    "horns_ram": "horns", "horns_oni": "horns", "horns_dragon": "horns", "halo": "halo", "witch_hat": "witch_hat",
    "beret": "beret", "cat_ears": "animal_ears", "fox_ears": "animal_ears", "rabbit_ears": "animal_ears",
    "glasses_round": "glasses", "glasses_square": "glasses", "eyepatch": "eyepatch", "bow": "hair_bow",
    "side_bow": "hair_bow", "clip_star": "hairclip", "clip_bars": "hairclip", "hairband": "hairband",
    "flower": "hairclip",
}  # fmt: skip

OUTFIT_KIND_TAGS: dict[str, tuple[str, ...]] = {
    "serafuku": ("school_uniform", "serafuku", "pleated_skirt"), "blazer": ("school_uniform", "blazer", "necktie"),
    "maid": ("maid", "apron", "dress"), "miko": ("miko",), "kimono": ("kimono",), "hoodie": ("hoodie",),
    "suit": ("suit", "necktie"), "dress": ("dress",), "armor": ("armor",), "coat": ("coat",),
    "sweater": ("sweater",), "gakuran": ("school_uniform",),
}  # fmt: skip
GIRL_OUTFITS = ("serafuku", "blazer", "maid", "miko", "kimono", "hoodie", "suit", "dress", "armor", "coat", "sweater")
BOY_OUTFITS = ("gakuran", "blazer", "kimono", "hoodie", "suit", "armor", "coat", "sweater")
CLOTH_COLORS = (
    "#2f3e66", "#7a2b3b", "#2e5d4b", "#e8607a", "#5aa7d8", "#f3c14b", "#8b6bc4", "#3c3a46", "#f2efe9", "#b4553a",
    "#59b39a", "#d98cb3", "#47619e", "#9aa0b5", "#c9a27c", "#d5423f",
)  # fmt: skip


@dataclass(frozen=True)
class Outfit:
    """One set of clothes: its kind and its colours ("#rrggbb")."""

    name: str
    kind: str
    main: str
    second: str
    accent: str
    legwear: str
    legs: str
    """Colour of the shoes and the kind of legwear: "socks", "thighhighs", "bare" or "tights"."""
    shoes: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Character:
    """Who somebody is, whatever the hand that draws them."""

    identity: str
    boy: bool
    hair_style: str
    bangs: str
    ahoge: bool
    hair_name: str
    hair_color: str
    tip_color: str | None
    """The hair fades into this colour at its ends; None when it does not."""
    eye_name: str
    eye_color: str
    eye_shape: str
    skin: str
    accessories: tuple[tuple[str, str], ...]
    """(kind, colour) of everything worn on the head."""
    accent: str
    build: float
    """Length of the body relative to the hand's usual one."""
    width: float
    outfits: tuple[Outfit, ...]
    tags: tuple[str, ...]
    """Tags of hair, eyes and accessories, without the outfit."""


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _jittered(rng: np.random.Generator, base: tuple[float, float, float], hue: float) -> str:
    h, s, lum = base
    return hsl(h + rng.uniform(-hue, hue), s * rng.uniform(0.85, 1.1), lum + rng.uniform(-0.04, 0.04))


def _outfit(rng: np.random.Generator, kind: str, boy: bool) -> Outfit:
    main, second, accent = (CLOTH_COLORS[i] for i in rng.permutation(len(CLOTH_COLORS))[:3])
    if kind == "miko":
        main, second = "#fbf7f2", _pick(rng, ("#d5423f", "#c8374a", "#7a2b5b", "#2f3e66"))
    if kind == "maid":
        main, second = _pick(rng, ("#2b2b38", "#2f3e66", "#5b2a3c", "#2e4d45", "#5d4a7d")), "#fbfaf8"
    if kind in ("blazer", "suit"):
        second = "#f6f4f2"
    if kind == "serafuku" and rng.random() < 0.6:
        main = _pick(rng, ("#fbfaf8", "#f5ecd8", "#2f3350"))
    if kind == "armor":
        main = _pick(rng, ("#c7ccd8", "#d8c38a", "#8d93a8", "#6f7488"))
    if kind == "gakuran":
        main = _pick(rng, ("#26262f", "#26304d", "#3d3f48"))
    legs = "bare" if boy else _pick(rng, ("socks", "thighhighs", "bare", "tights"))
    tags = OUTFIT_KIND_TAGS[kind]
    if kind in ("blazer", "sweater") and not boy:
        tags = (*tags, "pleated_skirt")
    legwear = _pick(rng, ("#fbfaf8", "#2b2b38", "#4a4458", "#6b4a52"))
    shoes = _pick(rng, ("#4a2f2a", "#26262f", "#7a4a3a", "#f0ece6", "#8a3040"))
    return Outfit(f"{kind}-{main[1:]}", kind, main, second, accent, legwear, legs, shoes, tags)


def _accessories(rng: np.random.Generator, boy: bool) -> tuple[tuple[str, str], ...]:
    worn: list[tuple[str, str]] = []
    if rng.random() < 0.45:
        kind = _pick(rng, HEADGEAR)
        horn = _pick(rng, ("#3c3a46", "#e9dcc4", "#a33a45", "#6b5bb0"))
        worn.append((kind, horn if kind.startswith("horns") else _pick(rng, CLOTH_COLORS)))
    if rng.random() < 0.25:
        kind = _pick(rng, FACEWEAR)
        worn.append((kind, _pick(rng, ("#26262f", "#7a2b3b", "#3b4f9a", "#8a5a2b", "#f6f4f2"))))
    bare = not worn or worn[0][0] not in ("witch_hat", "beret")
    if not boy and bare and rng.random() < 0.55:
        worn.append((_pick(rng, HAIRWEAR), _pick(rng, CLOTH_COLORS)))
    return tuple(worn)


def _tagged(character: Character) -> Character:
    """`character` with the tags that its traits call for."""
    tags = [f"{character.hair_name}_hair", *HAIR_STYLE_TAGS[character.hair_style], f"{character.eye_name}_eyes"]
    if character.bangs == "blunt":
        tags.append("blunt_bangs")
    if character.ahoge:
        tags.append("ahoge")
    tags += [ACCESSORY_TAG[kind] for kind, _ in character.accessories]
    return replace(character, tags=tuple(dict.fromkeys(tags)))


def make_character(seed: int) -> Character:
    """The character of `seed`. Training uses seeds below 1,000,000; the demo and the tests use others."""
    rng = np.random.default_rng([7701, seed])
    boy = bool(rng.random() < 0.18)
    hair_name, eye_name = _pick(rng, tuple(HAIR_COLORS)), _pick(rng, tuple(EYE_COLORS))
    style = _pick(rng, BOY_HAIR if boy else GIRL_HAIR)
    bangs = "blunt" if style == "hime" else _pick(rng, ("spiky", "jagged", "swept", "between") if boy else BANGS)
    tip = _jittered(rng, HAIR_COLORS[_pick(rng, tuple(HAIR_COLORS))], 8) if rng.random() < 0.14 else None
    kinds = BOY_OUTFITS if boy else GIRL_OUTFITS
    chosen = [kinds[i] for i in rng.permutation(len(kinds))[: int(rng.integers(2, 4))]]
    return _tagged(
        Character(
            identity=f"c{seed:06d}", boy=boy, hair_style=style, bangs=bangs, ahoge=bool(rng.random() < 0.2),
            hair_name=hair_name, hair_color=_jittered(rng, HAIR_COLORS[hair_name], 7), tip_color=tip,
            eye_name=eye_name, eye_color=_jittered(rng, EYE_COLORS[eye_name], 6), eye_shape=_pick(rng, EYE_SHAPES),
            skin=SKINS[int(min(rng.geometric(0.33), len(SKINS))) - 1], accessories=_accessories(rng, boy),
            accent=_pick(rng, CLOTH_COLORS), build=float(rng.uniform(0.9, 1.12)), width=float(rng.uniform(0.95, 1.05)),
            outfits=tuple(_outfit(rng, kind, boy) for kind in chosen), tags=(),
        )
    )  # fmt: skip


def look_alike(character: Character, seed: int) -> Character:
    """Somebody else who is easily taken for `character`: same hair, skin and build, other eyes, headwear and clothes."""
    rng = np.random.default_rng([7702, seed])
    others = [name for name in EYE_COLORS if name != character.eye_name]
    eye_name = _pick(rng, others)
    accessories = _accessories(rng, character.boy)
    while accessories == character.accessories:
        accessories = _accessories(rng, character.boy)
    kinds = [outfit.kind for outfit in character.outfits]
    return _tagged(
        replace(
            character, identity=f"{character.identity}-like{seed:06d}", eye_name=eye_name,
            eye_color=_jittered(rng, EYE_COLORS[eye_name], 6), accessories=accessories,
            outfits=tuple(_outfit(rng, kind, character.boy) for kind in kinds),
        )
    )  # fmt: skip
