"""Backgrounds: flat colours, gradients, patterns, and simple scenery by day and night, as SVG."""

from dataclasses import dataclass

import numpy as np

from kyara_miniature.colour import hsl, light, mix, shadow
from kyara_miniature.hand import Hand

KINDS = ("white", "plain", "gradient", "pattern", "room", "park", "street", "night")


@dataclass(frozen=True)
class Backdrop:
    """What stands behind the figures, `width` x `height` px, and the words for it."""

    svg: str
    defs: str
    tags: tuple[str, ...]


def draw_backdrop(rng: np.random.Generator, width: int, height: int, hand: Hand, kind: str | None = None) -> Backdrop:
    """A background of `kind`, or of any; the same generator state gives the same one."""
    kind = kind or KINDS[int(rng.integers(len(KINDS)))]
    return _Painter(rng, width, height, hand).paint(kind)


class _Painter:
    def __init__(self, rng: np.random.Generator, width: int, height: int, hand: Hand) -> None:
        self._rng, self._w, self._h, self._hand = rng, width, height, hand
        self._parts: list[str] = []
        self._defs: list[str] = []

    def paint(self, kind: str) -> Backdrop:
        tags: tuple[str, ...] = getattr(self, f"_{kind}")()
        return Backdrop("".join(self._parts), "".join(self._defs), tags)

    def _white(self) -> tuple[str, ...]:
        self._rect(0, 0, self._w, self._h, "#ffffff")
        return ("simple_background", "white_background")

    def _plain(self) -> tuple[str, ...]:
        self._rect(0, 0, self._w, self._h, self._colour())
        return ("simple_background",)

    def _gradient(self) -> tuple[str, ...]:
        self._vertical(0, self._h, self._colour(), self._colour())
        return ("gradient_background",)

    def _pattern(self) -> tuple[str, ...]:
        base = self._colour()
        self._rect(0, 0, self._w, self._h, base)
        mark, step = light(base, self._rng.uniform(0.35, 0.7)), self._h * self._rng.uniform(0.12, 0.25)
        dots = self._rng.random() < 0.5
        for row in range(int(self._h / step) + 2):
            if not dots:
                self._rect(0, row * step, self._w, step * 0.45, mark)
                continue
            for column in range(int(self._w / step) + 2):
                self._circle((column + 0.5 * (row % 2)) * step, row * step, step * 0.2, mark)
        return ("simple_background",)

    def _room(self) -> tuple[str, ...]:
        wall, floor = self._colour(), mix(self._colour(), "#8a5a3a", 0.6)
        line = self._h * self._rng.uniform(0.62, 0.82)
        self._vertical(0, line, light(wall, 0.25), wall)
        self._vertical(line, self._h, shadow(floor, 0.3), floor)
        self._rect(0, line - self._h * 0.02, self._w, self._h * 0.02, shadow(wall, 0.5))
        for _ in range(int(self._rng.integers(1, 4))):
            self._window_or_frame(wall, line)
        if self._rng.random() < 0.7:
            self._shelf(line)
        return ("indoors",)

    def _window_or_frame(self, wall: str, line: float) -> None:
        w, h = self._w * self._rng.uniform(0.1, 0.25), line * self._rng.uniform(0.3, 0.6)
        x, y = self._rng.uniform(0, self._w - w), line * self._rng.uniform(0.06, 0.25)
        self._rect(x - 4, y - 4, w + 8, h + 8, shadow(wall, 0.6))
        self._rect(x, y, w, h, "#bfe3f7" if self._rng.random() < 0.6 else self._colour())
        self._rect(x + w / 2 - 2, y, 4, h, shadow(wall, 0.6))

    def _shelf(self, line: float) -> None:
        x, w = self._rng.uniform(0, self._w * 0.7), self._w * self._rng.uniform(0.15, 0.35)
        top = line - self._h * self._rng.uniform(0.15, 0.35)
        wood = mix(self._colour(), "#7a4a2a", 0.7)
        self._rect(x, top, w, line - top + 4, wood)
        place = x + 4
        while place < x + w - 10:
            thick = self._h * self._rng.uniform(0.015, 0.035)
            tall = (line - top) * self._rng.uniform(0.45, 0.8)
            self._rect(place, line - tall - 4, thick, tall, self._colour())
            place += thick + 1.5

    def _park(self) -> tuple[str, ...]:
        line = self._h * self._rng.uniform(0.55, 0.8)
        self._vertical(0, line, "#6db7ee", "#d8f0fb")
        self._clouds(line)
        for _ in range(int(self._rng.integers(2, 6))):
            x, r = self._rng.uniform(0, self._w), self._h * self._rng.uniform(0.1, 0.25)
            green = hsl(self._rng.uniform(80, 150), 0.45, self._rng.uniform(0.35, 0.55))
            self._rect(x - r * 0.12, line - r * 0.8, r * 0.24, r * 0.9, "#7a5236")
            for dx, dy in ((-0.5, 0), (0.5, 0), (0, -0.5)):
                self._circle(x + dx * r, line - r * 1.1 + dy * r, r * 0.7, green)
        grass = hsl(self._rng.uniform(85, 130), 0.45, 0.55)
        self._vertical(line, self._h, grass, shadow(grass, 0.4))
        return ("outdoors", "sky")

    def _street(self) -> tuple[str, ...]:
        line = self._h * self._rng.uniform(0.6, 0.82)
        dusk = self._rng.random() < 0.35
        self._vertical(0, line, "#f29a6c" if dusk else "#7fc0ee", "#ffe2b0" if dusk else "#e4f3fb")
        self._clouds(line)
        self._houses(line, lit=False)
        self._vertical(line, self._h, "#8d8f98", "#6a6c76")
        self._rect(0, line, self._w, self._h * 0.02, "#c9c6bd")
        return ("outdoors", "sky")

    def _night(self) -> tuple[str, ...]:
        line = self._h * self._rng.uniform(0.62, 0.85)
        self._vertical(0, line, "#121a3e", "#3c3f78")
        for _ in range(30):
            self._circle(self._rng.uniform(0, self._w), self._rng.uniform(0, line), self._h * 0.004, "#fff6d8")
        self._circle(self._w * self._rng.uniform(0.1, 0.9), line * 0.25, self._h * 0.07, "#fff2c4")
        self._houses(line, lit=True)
        self._vertical(line, self._h, "#2a2d4a", "#1c1e36")
        return ("outdoors", "night", "sky")

    def _houses(self, line: float, *, lit: bool) -> None:
        x = -self._w * 0.05
        while x < self._w:
            w, h = self._w * self._rng.uniform(0.1, 0.22), self._h * self._rng.uniform(0.2, 0.5)
            wall = shadow("#454a78", self._rng.uniform(0, 0.6)) if lit else self._colour()
            self._rect(x, line - h, w, h, wall)
            side = w / 7
            for column in range(3):
                for row in range(max(1, int(h / (side * 2.2)))):
                    glass = "#ffd98a" if lit and self._rng.random() < 0.4 else shadow(wall, 0.6)
                    self._rect(x + side * (1 + 2 * column), line - h + side * (0.8 + 2.1 * row), side, side * 1.2, glass)
            x += w * self._rng.uniform(1.0, 1.25)

    def _clouds(self, line: float) -> None:
        for _ in range(int(self._rng.integers(1, 4))):
            x, y, r = self._rng.uniform(0, self._w), self._rng.uniform(0, line * 0.5), self._h * self._rng.uniform(0.04, 0.09)
            for dx in (-1.1, 0, 1.1):
                self._circle(x + dx * r, y - (r * 0.4 if dx == 0 else 0), r, "#ffffff")

    def _colour(self) -> str:
        return hsl(self._rng.uniform(0, 360), self._rng.uniform(0.1, 0.6), self._rng.uniform(0.55, 0.9))

    def _rect(self, x: float, y: float, w: float, h: float, colour: str) -> None:
        tone = self._hand.tone(colour)
        self._parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{tone}"/>')

    def _circle(self, x: float, y: float, r: float, colour: str) -> None:
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="{self._hand.tone(colour)}"/>')

    def _vertical(self, y0: float, y1: float, top: str, bottom: str) -> None:
        name = f"bg{len(self._defs)}"
        stops = f'<stop offset="0" stop-color="{self._hand.tone(top)}"/><stop offset="1" stop-color="{self._hand.tone(bottom)}"/>'
        self._defs.append(f'<linearGradient id="{name}" x1="0" x2="0" y1="0" y2="1">{stops}</linearGradient>')
        self._parts.append(f'<rect x="0" y="{y0:.1f}" width="{self._w}" height="{y1 - y0 + 1:.1f}" fill="url(#{name})"/>')
