"""What happens in an episode: its cast, and its shots in order, before anything is drawn.

An episode opens with a title card, goes through scenes at different places, and ends with credits. A scene gives
each character one outfit; between scenes the picture is black for a moment. Some shots come twice.
"""

from dataclasses import dataclass, replace

import numpy as np

from kyara_miniature.cast import Character, look_alike, make_character
from kyara_miniature.tags import HAIR_COLOR_TAGS

FIRST_SEED = 1_000_000
"""Characters from here on are never seen in training."""
PLACES = ("room", "park", "street", "night", "gradient", "pattern")
TITLE_S, CREDITS_S, BLACK_S = 1.5, 3.0, 0.5
SIZES = {"close": (1.7, 2.3), "medium": (1.05, 1.4), "full": (0.7, 0.9), "far": (0.2, 0.34), "tiny": (0.06, 0.09)}
"""Height of a figure for each kind of shot, as a share of the frame's."""


@dataclass(frozen=True)
class Actor:
    """A character in a shot. Shares are of the frame's width and height."""

    character: Character
    outfit: int
    size: float
    x: float
    head: float
    """Height of the top of the head."""
    walk: float = 0.0
    """Shares of the width walked each second."""
    seed: int = 0
    """Of the poses and moods."""


@dataclass(frozen=True)
class Shot:
    """A stretch of the episode between two cuts."""

    kind: str
    """`title`, `black`, `credits`, `scene`."""
    seconds: float
    place: str = ""
    seed: int = 0
    """Of the backdrop."""
    pan: float = 0.0
    """Shares of the width that the camera moves each second."""
    blur: float = 0.0
    """Radius in px at 720 lines."""
    actors: tuple[Actor, ...] = ()
    repeats: int | None = None
    """Number of the shot that this one shows again."""


@dataclass(frozen=True)
class Script:
    """A cast and what it does."""

    main: tuple[Character, ...]
    extras: tuple[Character, ...]
    shots: tuple[Shot, ...]


def write_script(seed: int, seconds: float, main: int, extras: int, look_alikes: bool) -> Script:
    """The same seed writes the same script. `seconds` is reached by whole scenes, the last cut short."""
    rng = np.random.default_rng([90_017, seed])
    cast = _cast(seed, main, look_alikes)
    others = tuple(make_character(FIRST_SEED + seed * 1000 + 900 + number) for number in range(extras))
    shots = [Shot("title", TITLE_S, seed=seed)]
    left = seconds - TITLE_S - CREDITS_S
    number = 0
    while left > 1.0:
        for shot in [*_scene(rng, number, cast, others, shots), Shot("black", BLACK_S)]:
            fitted = replace(shot, seconds=min(shot.seconds, left))
            left -= fitted.seconds
            shots.append(fitted)
            if left < 0.75:
                break
        number += 1
    return Script(cast, others, (*shots, Shot("credits", CREDITS_S + max(0.0, left), seed=seed)))


def _cast(seed: int, size: int, look_alikes: bool) -> tuple[Character, ...]:
    """Characters of different hair colour; with `look_alikes` the last one resembles the first."""
    chosen: list[Character] = []
    number = FIRST_SEED + seed * 1000
    while len(chosen) < size:
        candidate = make_character(number)
        number += 1
        colours = {tag for each in chosen for tag in each.tags if tag in HAIR_COLOR_TAGS}
        if not colours & set(candidate.tags):
            chosen.append(candidate)
    if look_alikes and size > 1:
        chosen[-1] = look_alike(chosen[0], number)
    return tuple(chosen)


def _scene(
    rng: np.random.Generator, number: int, main: tuple[Character, ...], extras: tuple[Character, ...], before: list[Shot]
) -> list[Shot]:
    """A shot of everyone far away, then shots of one or two, at one place."""
    place, backdrop = PLACES[number % len(PLACES)], int(rng.integers(1 << 30))
    outfits = {each.identity: number % len(each.outfits) for each in (*main, *extras)}

    def actor(who: Character, size: str, x: float, walk: float = 0.0) -> Actor:
        share = float(rng.uniform(*SIZES[size]))
        head = float(rng.uniform(0.03, 0.12)) if share > 0.95 else float(rng.uniform(0.9, 0.97)) - share
        return Actor(who, outfits[who.identity], share, x, head, walk, int(rng.integers(1 << 30)))

    def shot(*actors: Actor, longest: float = 3.2, pan: float = 0.0, blur: float = 0.0) -> Shot:
        seconds = round(float(rng.uniform(0.8, longest)) * 12) / 12
        return Shot("scene", seconds, place, backdrop + int(rng.integers(3)), pan, blur, actors)

    order = [main[i] for i in rng.permutation(len(main))]
    far = [actor(who, "far", (i + 0.5) / len(order), walk=float(rng.uniform(-0.03, 0.03))) for i, who in enumerate(order)]
    shots = [shot(*far, pan=float(rng.uniform(-0.05, 0.05)))]
    for who in order:
        shots.append(shot(actor(who, "close", float(rng.uniform(0.35, 0.65)))))
        shots.append(shot(actor(who, "medium", float(rng.uniform(0.25, 0.75))), pan=float(rng.choice([0.0, 0.04]))))
        shots.append(shot(actor(who, "full", float(rng.uniform(0.2, 0.8)), walk=float(rng.uniform(-0.06, 0.06)))))
    if len(order) > 1:
        shots.insert(4, shot(actor(order[0], "medium", 0.25), actor(order[1], "medium", 0.75)))
        shots.append(shot(actor(order[-1], "full", 0.3), actor(order[0], "full", 0.7)))
    if len(order) > 2:
        shots.append(shot(*(actor(who, "full", (i + 0.5) / 3) for i, who in enumerate(order[:3]))))
    if extras and number % 2 == 0:
        shots.append(shot(actor(extras[number % len(extras)], "medium", 0.5), longest=1.4))
    shots.append(shot(actor(order[0], "tiny", 0.4), actor(order[-1], "far", 0.65), longest=1.6))
    shots.append(shot(actor(order[-1], "medium", 0.5), longest=1.2, blur=9.0))
    scenes = [i for i, each in enumerate(before) if each.kind == "scene" and each.repeats is None and each.actors]
    if scenes:
        again = scenes[int(rng.integers(len(scenes)))]
        shots.append(replace(before[again], repeats=again))
    return shots
