"""Colour arithmetic on "#rrggbb" strings: what the cast, the hands and the drawing code share."""

import colorsys
from functools import lru_cache

SHADOW_TINT = (0.66, 0.56, 0.80)
"""Cel shadows are multiplied by this: cool and a little violet, never grey."""


def to_rgb(colour: str) -> tuple[float, float, float]:
    """The three channels of `colour`, 0..1."""
    return int(colour[1:3], 16) / 255, int(colour[3:5], 16) / 255, int(colour[5:7], 16) / 255


def to_hex(red: float, green: float, blue: float) -> str:
    """The string of three channels 0..1, clamped."""
    r, g, b = (min(255, max(0, round(v * 255))) for v in (red, green, blue))
    return f"#{r:02x}{g:02x}{b:02x}"


def hsl(hue: float, saturation: float, lightness: float) -> str:
    """A colour by hue in degrees, saturation and lightness 0..1."""
    saturation, lightness = min(1.0, max(0.0, saturation)), min(1.0, max(0.0, lightness))
    return to_hex(*colorsys.hls_to_rgb((hue % 360) / 360, lightness, saturation))


@lru_cache(maxsize=8192)
def mix(a: str, b: str, share: float) -> str:
    """`a` with `share` (0..1) of `b`."""
    return to_hex(*(x + (y - x) * share for x, y in zip(to_rgb(a), to_rgb(b), strict=True)))


@lru_cache(maxsize=8192)
def shadow(colour: str, strength: float) -> str:
    """`colour` in shade; strength 0 leaves it, 1 is a full cel shadow."""
    return to_hex(*(c * (1 - strength * (1 - t)) for c, t in zip(to_rgb(colour), SHADOW_TINT, strict=True)))


@lru_cache(maxsize=8192)
def light(colour: str, strength: float) -> str:
    """`colour` lightened toward warm white."""
    return mix(colour, "#fffaf4", strength)


@lru_cache(maxsize=8192)
def shifted(colour: str, hue: float, saturation: float, lightness: float, gamma: float) -> str:
    """`colour` with its hue moved (degrees), saturation multiplied, lightness added and raised to `gamma`."""
    h, lum, s = colorsys.rgb_to_hls(*to_rgb(colour))
    return hsl(h * 360 + hue, s * saturation, lum**gamma + lightness)
