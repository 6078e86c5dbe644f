"""The drawing surface: collects the SVG of one figure and remembers where its silhouette is.

Paths use only absolute M, L, Q, C and Z, so that points on them can be sampled for the truth boxes.
"""

import math
import re
from dataclasses import dataclass, field

import numpy as np

from kyara_miniature.hand import Hand

_TOKEN = re.compile(r"[MLQCZ]|-?\d+\.?\d*")
_NUMBER = re.compile(r"-?\d+\.?\d*")
Points = list[tuple[float, float]]


def sample(d: str) -> Points:
    """Points on the path `d`: its corners, and three points on each curve."""
    points: Points = []
    numbers: list[float] = []
    here, command = (0.0, 0.0), "M"
    for token in [*_TOKEN.findall(d), "Z"]:
        if token in "MLQCZ":
            command, numbers = token, []
            continue
        numbers.append(float(token))
        if len(numbers) < {"M": 2, "L": 2, "Q": 4, "C": 6}[command]:
            continue
        end = (numbers[-2], numbers[-1])
        if command in "QC":
            points += _on_curve(here, numbers)
        points.append(end)
        here, numbers = end, []
    return points


def _on_curve(start: tuple[float, float], numbers: list[float]) -> Points:
    points: Points = []
    for t in (0.25, 0.5, 0.75):
        u = 1 - t
        weights = (u * u, 2 * u * t, t * t) if len(numbers) == 4 else (u**3, 3 * u * u * t, 3 * u * t * t, t**3)
        xs, ys = (start[0], *numbers[0::2]), (start[1], *numbers[1::2])
        points.append(
            (sum(w * x for w, x in zip(weights, xs, strict=True)), sum(w * y for w, y in zip(weights, ys, strict=True)))
        )
    return points


@dataclass
class Sheet:
    """One figure being drawn. `key` keeps gradient names apart when several figures share a picture."""

    hand: Hand
    key: str
    parts: list[str] = field(default_factory=list)
    defs: list[str] = field(default_factory=list)
    outline: Points = field(default_factory=list)
    """Points on the silhouette, in figure space."""
    _stack: list[tuple[float, ...]] = field(default_factory=lambda: [(1.0, 0.0, 0.0, 1.0, 0.0, 0.0)])
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    def push(self, *, dx: float = 0, dy: float = 0, sx: float = 1, sy: float = 1, angle: float = 0) -> None:
        """Begin a group that is turned (degrees), scaled, then moved; close it with `pop`."""
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        a, b, cc, d = c * sx, s * sx, -s * sy, c * sy
        self.parts.append(f'<g transform="matrix({a:.4f} {b:.4f} {cc:.4f} {d:.4f} {dx:.2f} {dy:.2f})">')
        pa, pb, pc, pd, pe, pf = self._stack[-1]
        self._stack.append(
            (pa * a + pc * b, pb * a + pd * b, pa * cc + pc * d, pb * cc + pd * d,
             pa * dx + pc * dy + pe, pb * dx + pd * dy + pf)
        )  # fmt: skip

    def pop(self) -> None:
        """End the group that `push` began."""
        self.parts.append("</g>")
        self._stack.pop()

    def place(self, points: Points) -> Points:
        """`points` of the current group in figure space."""
        a, b, c, d, e, f = self._stack[-1]
        return [(a * x + c * y + e, b * x + d * y + f) for x, y in points]

    def gradient(self, stops: list[tuple[float, str]], y0: float, y1: float) -> str:
        """A vertical gradient from `y0` to `y1`; gives the paint to use as a fill."""
        name = f"{self.key}{len(self.defs)}"
        body = "".join(f'<stop offset="{o:.2f}" stop-color="{self.hand.tone(c)}"/>' for o, c in stops)
        self.defs.append(
            f'<linearGradient id="{name}" gradientUnits="userSpaceOnUse" x1="0" x2="0" y1="{y0:.1f}" y2="{y1:.1f}">'
            f"{body}</linearGradient>"
        )
        return f"url(#{name})"

    def path(
        self, d: str, fill: str, *, paint: str | None = None, line: float = 1.0, opacity: float = 1.0, track: bool = True
    ) -> None:
        """A filled shape with this hand's outline; `paint` (a gradient) takes the place of the plain `fill`."""
        if track:
            self.outline += self.place(sample(d))
        stroke = ""
        if line > 0 and self.hand.line > 0:
            color = self.hand.tone(self.hand.line_color(fill))
            stroke = f' stroke="{color}" stroke-width="{self.hand.line * line:.2f}" stroke-linejoin="round"'
        faded = f' opacity="{opacity:.2f}"' if opacity < 1 else ""
        self.parts.append(f'<path d="{self._strayed(d)}" fill="{paint or self.hand.tone(fill)}"{stroke}{faded}/>')

    def stroke(self, d: str, color: str, width: float, *, opacity: float = 1.0) -> None:
        """A bare line."""
        faded = f' opacity="{opacity:.2f}"' if opacity < 1 else ""
        self.parts.append(
            f'<path d="{self._strayed(d)}" fill="none" stroke="{self.hand.tone(color)}" stroke-width="{width:.2f}"'
            f' stroke-linecap="round" stroke-linejoin="round"{faded}/>'
        )

    def limb(self, d: str, width: float, color: str, *, track: bool = True) -> None:
        """A round-ended tube along `d`, outlined."""
        if track:
            r = width / 2
            for x, y in sample(d):
                self.outline += self.place([(x - r, y), (x + r, y), (x, y - r), (x, y + r)])
        if self.hand.line > 0:
            self.stroke(d, self.hand.line_color(color), width + self.hand.line)
        self.stroke(d, color, width - self.hand.line * 0.6)

    def oval(
        self, x: float, y: float, rx: float, ry: float, fill: str, *, paint: str | None = None, line: float = 0.0,
        opacity: float = 1.0, track: bool = False, angle: float = 0.0,
    ) -> None:  # fmt: skip
        """An ellipse."""
        if track:
            self.outline += self.place([(x - rx, y), (x + rx, y), (x, y - ry), (x, y + ry)])
        stroke = ""
        if line > 0 and self.hand.line > 0:
            color = self.hand.tone(self.hand.line_color(fill))
            stroke = f' stroke="{color}" stroke-width="{self.hand.line * line:.2f}"'
        faded = f' opacity="{opacity:.2f}"' if opacity < 1 else ""
        turned = f' transform="rotate({angle:.1f} {x:.1f} {y:.1f})"' if angle else ""
        self.parts.append(
            f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:.1f}"'
            f' fill="{paint or self.hand.tone(fill)}"{stroke}{faded}{turned}/>'
        )

    def _strayed(self, d: str) -> str:
        if self.hand.wobble == 0:
            return d
        return _NUMBER.sub(lambda m: f"{float(m.group()) + self._rng.normal(0, self.hand.wobble):.1f}", d)
