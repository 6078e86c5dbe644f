"""Pictures with ground truth: one figure framed as its view says, or a scene of several, near and far."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import PIL.Image
import PIL.ImageFilter
import resvg_py

from kyara_miniature.backdrop import draw_backdrop
from kyara_miniature.cast import Character, make_character
from kyara_miniature.colour import to_rgb
from kyara_miniature.figure import Figure, View, draw_figure, figure_foot, random_view, visible_tags
from kyara_miniature.hand import HOUSE, Hand, random_hand
from kyara_miniature.sheet import Points

BOX_KINDS = ("person", "halfbody", "head", "face")
VISIBLE_SHARE = 0.25
"""A box of which less is inside the picture is no truth, but a person whose head is seen is seen."""
_BOTTOM = {"portrait": 112.0, "upper_body": 230.0, "cowboy_shot": 330.0}
"""Lowest point shown by a framing, in figure units of the house hand's body."""


@dataclass(frozen=True)
class Box:
    """A box in px, clipped to its picture; `kind` is one of `BOX_KINDS`."""

    kind: str
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class FigureTruth:
    """What is known of one figure of a picture."""

    identity: str
    outfit: str
    tags: tuple[str, ...]
    boxes: tuple[Box, ...]
    height_px: float
    """Height of the whole figure, also of the part outside the picture."""


@dataclass(frozen=True)
class Picture:
    """A drawing, [height, width, 3] uint8 RGB, and its truth."""

    image: np.ndarray
    figures: tuple[FigureTruth, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Placed:
    """A figure in a picture: figure space is scaled (and mirrored), then moved; in px."""

    figure: Figure
    scale: float
    x: float
    y: float
    mirrored: bool = False

    @property
    def svg(self) -> str:
        """The figure's group."""
        sx = -self.scale if self.mirrored else self.scale
        return f'<g transform="matrix({sx:.5f} 0 0 {self.scale:.5f} {self.x:.2f} {self.y:.2f})">{self.figure.svg}</g>'

    def truth(self, width: int, height: int) -> FigureTruth | None:
        """Its truth in a picture of that size; None when nearly all of it lies outside."""
        whole = {kind: self._box(points) for kind, points in self._points().items()}
        seen = {kind for kind, box in whole.items() if _share_inside(box, width, height) >= VISIBLE_SHARE}
        if "head" in seen:
            seen |= {"person", "halfbody"}
        if "person" not in seen:
            return None
        boxes = tuple(Box(kind, *_clipped(box, width, height)) for kind, box in whole.items() if kind in seen)
        tall = whole["person"][3] - whole["person"][1]
        return FigureTruth(self.figure.identity, self.figure.outfit, self.figure.tags, boxes, tall)

    def _points(self) -> dict[str, Points]:
        figure = self.figure
        half = [(x, min(y, figure.hips)) for x, y in figure.person if y < figure.hips + 30]
        return {"person": figure.person, "halfbody": half, "head": figure.head, "face": figure.face}

    def _box(self, points: Points) -> tuple[float, float, float, float]:
        sx = -self.scale if self.mirrored else self.scale
        xs, ys = [self.x + sx * x for x, _ in points], [self.y + self.scale * y for _, y in points]
        return min(xs), min(ys), max(xs), max(ys)


def draw_portrait(
    character: Character, view: View, *, width: int, height: int, hand: Hand = HOUSE, rng: np.random.Generator
) -> Picture:
    """One figure, framed as `view.framing` says, before a background that `rng` chooses."""
    figure = draw_figure(character, view, hand, "a")
    top = min(y for _, y in figure.person)
    foot = figure_foot(hand, character)
    bottom = min(foot, _BOTTOM.get(view.framing, foot) * (hand.body / HOUSE.body if view.framing != "portrait" else 1))
    whole = view.framing == "full_body"
    margin = rng.uniform(0.02, 0.08)
    scale = height * (1 - margin * (2 if whole else 1)) / (bottom - top)
    left, right = min(x for x, _ in figure.person), max(x for x, _ in figure.person)
    if whole:
        scale = min(scale, width * 0.96 / (right - left))
    centre = width / 2 + rng.normal(0, 0.03) * width
    y = height * margin - top * scale if not whole else height * (1 - margin) - foot * scale
    placed = Placed(figure, scale, centre, y, view.mirrored)
    backdrop = draw_backdrop(rng, width, height, hand)
    image = render(backdrop.defs, backdrop.svg, [placed], width, height)
    truth = placed.truth(width, height)
    tags = (*visible_tags(figure.tags, view.framing), "solo", view.framing, *backdrop.tags)
    figures = (replace(truth, tags=visible_tags(figure.tags, view.framing)),) if truth else ()
    return Picture(finished(image, hand, rng), figures, tags)


def draw_scene(
    seed: int,
    *,
    width: int = 640,
    height: int = 360,
    cast: Sequence[Character] | None = None,
    hand: Hand | None = None,
    figures: int | None = None,
) -> Picture:
    """A scene of 0 to 4 figures (or `figures`), near and far, that may overlap or be cut by the border."""
    rng = np.random.default_rng([4021, seed])
    hand = hand or (HOUSE if rng.random() < 0.4 else random_hand(int(rng.integers(1 << 30))))
    count = figures if figures is not None else int(rng.choice(5, p=[0.06, 0.34, 0.32, 0.18, 0.10]))
    placed: list[Placed] = []
    for number in range(count):
        character = cast[int(rng.integers(len(cast)))] if cast else make_character(int(rng.integers(1_000_000)))
        view = random_view(rng, character)
        figure = draw_figure(character, view, hand, f"f{number}")
        placed.append(_somewhere(rng, figure, placed, width, height))
    placed.sort(key=lambda each: each.scale)
    backdrop = draw_backdrop(rng, width, height, hand)
    image = render(backdrop.defs, backdrop.svg, placed, width, height)
    truths = [truth for each in unhidden(placed) if (truth := each.truth(width, height))]
    people = ("solo",) if len(truths) == 1 else ("multiple_girls",) if len(truths) > 1 else ()
    return Picture(finished(image, hand, rng), tuple(truths), (*people, *backdrop.tags))


def _somewhere(rng: np.random.Generator, figure: Figure, others: list[Placed], width: int, height: int) -> Placed:
    """The figure at a random size, and of a few random places the one that hides the others least."""
    top, bottom = min(y for _, y in figure.person), max(y for _, y in figure.person)
    tall = height * float(np.exp(rng.uniform(np.log(0.07), np.log(2.4))))
    scale = tall / (bottom - top)
    best, least = None, np.inf
    for _ in range(4):
        x = rng.uniform(0.02, 0.98) * width
        head = rng.uniform(0.03, 0.45) * height if tall > height * 0.8 else rng.uniform(0.02, 0.98) * (height - tall)
        placed = Placed(figure, scale, float(x), float(head - top * scale), bool(rng.random() < 0.5))
        overlap = sum(_hidden_share(each, placed) + _hidden_share(placed, each) for each in others)
        if overlap < least:
            best, least = placed, overlap
    assert best is not None
    return best


def unhidden(placed: Sequence[Placed]) -> list[Placed]:
    """The figures, drawn back to front, whose head is not mostly behind another figure."""
    return [each for place, each in enumerate(placed) if sum(_hidden_share(each, front) for front in placed[place + 1 :]) < 0.6]


def _hidden_share(behind: Placed, front: Placed) -> float:
    """Share of the head of `behind` that lies in the upper part of the person box of `front`."""
    head, person = behind._box(behind.figure.head), front._box(front.figure.person)
    # Arms and hair make the box wider than what it hides.
    inset = 0.15 * (person[2] - person[0])
    w = min(head[2], person[2] - inset) - max(head[0], person[0] + inset)
    h = min(head[3], person[3]) - max(head[1], person[1])
    area = (head[2] - head[0]) * (head[3] - head[1])
    return max(0.0, w) * max(0.0, h) / area


def render(defs: str, backdrop: str, placed: Sequence[Placed], width: int, height: int) -> np.ndarray:
    """The drawing as [height, width, 3] uint8."""
    all_defs = defs + "".join(each.figure.defs for each in placed)
    body = backdrop + "".join(each.svg for each in placed)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"><defs>{all_defs}</defs>{body}</svg>'
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True))
    return np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB"))


def finished(image: np.ndarray, hand: Hand, rng: np.random.Generator) -> np.ndarray:
    """The hand's paper, softness and grain over a drawing."""
    if hand.blur:
        image = np.asarray(PIL.Image.fromarray(image).filter(PIL.ImageFilter.GaussianBlur(hand.blur)))
    if hand.paper:
        image = (image * np.array(to_rgb(hand.paper), np.float32)).astype(np.uint8)
    if hand.grain:
        noise = rng.normal(0, hand.grain, image.shape[:2])[..., None]
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


Corners = tuple[float, float, float, float]


def _clipped(box: Corners, width: int, height: int) -> Corners:
    return max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3])


def _share_inside(box: Corners, width: int, height: int) -> float:
    x0, y0, x1, y1 = _clipped(box, width, height)
    return max(0.0, x1 - x0) * max(0.0, y1 - y0) / ((box[2] - box[0]) * (box[3] - box[1]))
