"""Hands: how somebody draws, apart from whom they draw.

`HOUSE` is the hand of everything that is shown. `random_hand` varies it broadly for training. `OTHER` is another
artist altogether (tall build, small almond eyes, muted wash, broken line) and is kept out of all training.
"""

from dataclasses import dataclass

import numpy as np

from kyara_miniature.colour import mix, shadow, shifted


@dataclass(frozen=True)
class Hand:
    """A drawing style. Lengths are in figure units: a chibi head is about 200 high."""

    line: float = 3.2
    """Outline width; 0 draws none."""
    ink: float = 0.25
    """0 colours a line as the dark of what it surrounds, 1 draws it in plain ink."""
    ink_color: str = "#2a1a2e"
    shade: float = 0.55
    """Strength of the shadows; 0 leaves everything flat."""
    gloss: float = 0.6
    """Opacity of the band of light on the hair."""
    gradient: float = 0.6
    """How much hair and cloth change from top to bottom."""
    eye_size: float = 1.0
    eye_height: float = 1.0
    eye_style: str = "gem"
    """"gem" (gradient, two lights), "flat", "ring", "star" or "almond"."""
    eye_gap: float = 0.0
    jaw: float = 0.0
    """Above 0 the chin is more pointed, below it is rounder."""
    blush: float = 0.5
    nose: str = "dot"
    """"dot", "line", "none" or "bridge"."""
    body: float = 1.42
    """Size of the body for a head of fixed size."""
    limb: float = 1.0
    """Thickness of arms and legs."""
    hair_volume: float = 1.0
    hue: float = 0.0
    saturation: float = 1.0
    lightness: float = 0.0
    gamma: float = 1.0
    wobble: float = 0.0
    """How far a line strays."""
    grain: float = 0.0
    """Standard deviation of the grain of the finished picture, in levels of 255."""
    blur: float = 0.0
    paper: str | None = None
    """A colour that the finished picture is multiplied by."""

    def tone(self, colour: str) -> str:
        """`colour` as this hand's palette has it."""
        if self.hue == 0 and self.saturation == 1 and self.lightness == 0 and self.gamma == 1:
            return colour
        return shifted(colour, self.hue, self.saturation, self.lightness, self.gamma)

    def line_color(self, colour: str) -> str:
        """The colour of a line around `colour` (both before `tone`)."""
        return mix(shadow(mix(colour, "#6a3040", 0.35), 1.3), self.ink_color, self.ink)


HOUSE = Hand()

OTHER = Hand(
    line=1.3, ink=1.0, ink_color="#4a4238", shade=0.25, gloss=0.0, gradient=0.0, eye_size=0.62, eye_height=0.62,
    eye_style="almond", eye_gap=-3.0, jaw=0.55, blush=0.0, nose="bridge", body=2.55, limb=0.72, hair_volume=0.93,
    hue=-9.0, saturation=0.52, lightness=0.03, gamma=0.95, wobble=1.6, grain=7.0, blur=0.5, paper="#f6ecd8",
)  # fmt: skip


def random_hand(seed: int) -> Hand:
    """A hand somewhere around `HOUSE`: line, palette, shading, eyes and proportions all vary; never like `OTHER`."""
    rng = np.random.default_rng([7711, seed])

    def pick(*options: str) -> str:
        return options[int(rng.integers(len(options)))]

    line = 0.0 if rng.random() < 0.12 else float(rng.uniform(1.4, 6.0))
    return Hand(
        line=line, ink=float(rng.uniform(0, 1)), ink_color=pick("#2a1a2e", "#101018", "#3a2418", "#1c2a44", "#4a1f33"),
        shade=float(rng.uniform(0.0, 0.95)), gloss=float(rng.choice([0.0, 0.3, 0.6, 0.85])),
        gradient=float(rng.uniform(0, 1)), eye_size=float(rng.uniform(0.8, 1.14)),
        eye_height=float(rng.uniform(0.82, 1.14)), eye_style=pick("gem", "gem", "flat", "ring", "star"),
        eye_gap=float(rng.uniform(-3, 4)), jaw=float(rng.uniform(-0.5, 0.4)), blush=float(rng.uniform(0, 1)),
        nose=pick("dot", "line", "none"), body=float(rng.uniform(1.1, 1.95)), limb=float(rng.uniform(0.85, 1.2)),
        hair_volume=float(rng.uniform(0.95, 1.1)), hue=float(rng.normal(0, 5)), saturation=float(rng.uniform(0.7, 1.25)),
        lightness=float(rng.uniform(-0.06, 0.06)), gamma=float(rng.uniform(0.8, 1.25)),
        wobble=float(rng.choice([0.0, 0.0, 0.0, 0.8])), grain=float(rng.choice([0.0, 0.0, 2.0, 5.0])),
        blur=float(rng.choice([0.0, 0.0, 0.0, 0.4, 0.7])),
        paper=pick("#fff2e0", "#eef4ff", "#fbeef4") if rng.random() < 0.2 else None,
    )  # fmt: skip
