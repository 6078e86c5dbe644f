"""The face: skin, ears, eyes, brows, nose, mouth, blush. Coordinates are those of the head, see `hair`."""

from kyara_miniature.cast import Character
from kyara_miniature.colour import light, mix, shadow
from kyara_miniature.sheet import Points, Sheet, sample

EXPRESSIONS: dict[str, tuple[str, ...]] = {
    "neutral": (), "smile": ("smile",), "happy": ("smile", "closed_eyes"), "grin": ("smile", "open_mouth"),
    "laugh": ("smile", "open_mouth", "closed_eyes"), "surprised": ("open_mouth",), "angry": ("frown",),
    "sad": ("frown",), "shy": ("blush", "smile"), "sleepy": ("closed_eyes",), "wink": ("smile", "one_eye_closed"),
    "shout": ("open_mouth", "frown"),
}  # fmt: skip
"""Every expression and the tags it earns."""

CLOSED = ("happy", "laugh", "sleepy")


def face_path(jaw: float) -> str:
    """Outline of the face from the temples to the chin."""
    wide, low = 62 - 14 * jaw, 74 - 4 * jaw
    return (
        f"M-84 -20C-88 34 {-wide - 8:.1f} {low - 10:.1f} -30 {low + 8:.1f}Q-10 {92 + 4 * jaw:.1f} 0 {92 + 5 * jaw:.1f}"
        f"Q10 {92 + 4 * jaw:.1f} 30 {low + 8:.1f}C{wide + 8:.1f} {low - 10:.1f} 88 34 84 -20C84 -112 -84 -112 -84 -20Z"
    )


class Face:
    """The face of one figure on a sheet."""

    def __init__(self, sheet: Sheet, character: Character, expression: str, turn: float, gaze: tuple[float, float]) -> None:
        self.sheet, self.who, self.expression, self.turn, self.gaze = sheet, character, expression, turn, gaze
        self.skin = character.skin
        self.shade = shadow(mix(character.skin, "#ff9a8a", 0.22), 0.55 * sheet.hand.shade)
        self.ink = sheet.hand.line_color(mix(character.skin, "#703028", 0.5))

    def base(self, fringe: str) -> Points:
        """Skin, ears and the fringe's shadow; gives the face's points, from the brow to the chin, in figure space."""
        sheet, jaw = self.sheet, self.sheet.hand.jaw
        for side in (-1, 1):
            sheet.oval(side * 86, 22, 13, 20, self.skin, line=0.9, angle=side * 10)
            sheet.oval(side * 87, 23, 6, 11, self.shade, angle=side * 10)
        d = face_path(jaw)
        sheet.path(d, self.skin)
        if sheet.hand.shade > 0.05:
            name = f"{sheet.key}face"
            sheet.defs.append(f'<clipPath id="{name}"><path d="{d}"/></clipPath>')
            sheet.parts.append(f'<g clip-path="url(#{name})">')
            sheet.push(dy=9, dx=5 * self.turn)
            sheet.path(fringe, self.shade, line=0, track=False)
            sheet.pop()
            sheet.parts.append("</g>")
        return sheet.place([p for p in sample(d) if p[1] >= -20] + [(-70, -48), (70, -48)])

    def features(self) -> None:
        """Eyes, brows, nose, mouth and blush."""
        hand = self.sheet.hand
        self.sheet.push(dx=9 * self.turn)
        self._blush()
        for side in (-1, 1):
            near = 1 - 0.09 * abs(self.turn) * (1 if side * self.turn > 0 else -0.3)
            gap = 39 + hand.eye_gap
            self.sheet.push(dx=side * gap, dy=26, sx=side * near * hand.eye_size, sy=hand.eye_size)
            shut = self.expression in CLOSED or (self.expression == "wink" and side == 1)
            if shut:
                self._shut_eye()
            elif hand.eye_style == "almond":
                self._almond_eye(side)
            else:
                self._open_eye(side)
            self.sheet.pop()
            self._brow(side)
        self._nose()
        self._mouth()
        self.sheet.pop()

    def _tilt(self) -> float:
        return {"tsurime": -5.0, "tareme": 5.0}.get(self.who.eye_shape, 0.0)

    def _shut_eye(self) -> None:
        lash, t = self._lash(), self._tilt() * 0.5
        d = f"M-20 4Q0 20 23 {6 + t:.1f}" if self.expression == "sleepy" else f"M-21 9Q0 -15 23 {10 + t:.1f}"
        self.sheet.stroke(d, lash, 5.4)
        self.sheet.stroke(f"M19 {8 + t:.1f}L27 {4 + t:.1f}", lash, 3.4)

    def _lash(self) -> str:
        return mix(shadow(mix(self.who.hair_color, "#2a1420", 0.62), 1.0), "#20121c", 0.45)

    def _open_eye(self, side: int) -> None:
        sheet, hand, t = self.sheet, self.sheet.hand, self._tilt()
        wide = 1.12 if self.expression in ("surprised", "shout") else 1.0
        h = hand.eye_height * wide * (0.84 if self.expression == "angry" else 1)
        top, low = -27 * h, 25 * h
        white = f"M-20 {-4 - t * 0.2:.1f}C-18 {top:.1f} 16 {top:.1f} 23 {-4 + t:.1f}C24 {low * 0.8:.1f} 10 {low:.1f} -2 {low:.1f}C-14 {low:.1f} -22 {low * 0.6:.1f} -20 -4Z"
        sheet.path(white, "#fffdfc", line=0, track=False)
        sheet.path(
            f"M-20 -4C-18 {top:.1f} 16 {top:.1f} 23 {-4 + t:.1f}C16 {top + 17:.1f} -12 {top + 17:.1f} -20 -4Z",
            "#b9b4d4", line=0, opacity=0.75, track=False,
        )  # fmt: skip
        gx, gy = self.gaze[0] * side * 4, self.gaze[1] * 3
        self._iris(side, gx + 1, gy - 1, 16.5, 23 * h)
        lash = self._lash()
        upper = (
            f"M-23 {-1 - t * 0.3:.1f}C-19 {top - 5:.1f} 16 {top - 6:.1f} 25 {-6 + t:.1f}L32 {-13 + t * 1.2:.1f}"
            f"L28 {-2 + t:.1f}L25 {2 + t:.1f}C17 {top + 6:.1f} -14 {top + 7:.1f} -23 {-1 - t * 0.3:.1f}Z"
        )
        sheet.path(upper, lash, line=0, track=False)
        sheet.stroke(f"M-9 {low + 1:.1f}Q4 {low + 3:.1f} 16 {low * 0.78:.1f}", lash, 2.0, opacity=0.75)
        sheet.stroke(f"M-14 {top - 6:.1f}Q4 {top - 13:.1f} 20 {top - 1 + t * 0.6:.1f}", self.ink, 1.6, opacity=0.6)

    def _iris(self, side: int, x: float, y: float, rx: float, ry: float) -> None:
        sheet, style, color = self.sheet, self.sheet.hand.eye_style, self.who.eye_color
        deep = shadow(mix(color, "#1c1030", 0.35), 1.0)
        bright = light(color, 0.55)
        if style == "flat":
            sheet.oval(x, y, rx, ry, color, line=0)
        else:
            paint = sheet.gradient([(0, deep), (0.4, color), (1, bright)], y - ry, y + ry)
            sheet.oval(x, y, rx, ry, deep)
            sheet.oval(x, y, rx - 1.8, ry - 1.8, color, paint=paint)
        if style == "ring":
            sheet.oval(x, y + 1, rx * 0.66, ry * 0.66, bright, opacity=0.55)
        sheet.oval(x, y - 1, rx * 0.46, ry * 0.48, mix(deep, "#120a1c", 0.6))
        if style == "gem":
            d = f"M{x - rx * 0.7:.1f} {y + ry * 0.42:.1f}Q{x:.1f} {y + ry * 1.15:.1f} {x + rx * 0.7:.1f} {y + ry * 0.42:.1f}Q{x:.1f} {y + ry * 0.7:.1f} {x - rx * 0.7:.1f} {y + ry * 0.42:.1f}Z"
            sheet.path(d, light(color, 0.75), line=0, opacity=0.75, track=False)
        # The light stands on the same side in both eyes, although the left eye is drawn mirrored.
        s = side
        if style == "star":
            cx, cy = x - s * 6, y - ry * 0.42
            sheet.path(
                f"M{cx:.1f} {cy - 9:.1f}Q{cx:.1f} {cy:.1f} {cx + 7:.1f} {cy:.1f}Q{cx:.1f} {cy:.1f} {cx:.1f} {cy + 9:.1f}Q{cx:.1f} {cy:.1f} {cx - 7:.1f} {cy:.1f}Q{cx:.1f} {cy:.1f} {cx:.1f} {cy - 9:.1f}Z",
                "#ffffff",
                line=0.5,
                track=False,
            )
        else:
            sheet.oval(x - s * 5.5, y - ry * 0.44, 6, 7.5, "#ffffff")
        sheet.oval(x + s * 6, y + ry * 0.4, 3.2, 3.8, "#ffffff", opacity=0.9)

    def _almond_eye(self, side: int) -> None:
        sheet, t = self.sheet, self._tilt()
        d = f"M-26 6Q-6 -20 26 {-4 + t:.1f}Q6 18 -26 6Z"
        sheet.path(d, "#f4f0e8", line=0, track=False)
        gx = self.gaze[0] * side * 3
        sheet.oval(gx + 1, -1, 11, 12, self.who.eye_color)
        sheet.oval(gx + 1, -1, 5, 6, "#2a221e")
        sheet.oval(gx + 3 * side, -5, 2.4, 2.4, "#ffffff")
        sheet.stroke(f"M-27 7Q-6 -21 28 {-5 + t:.1f}", self.ink, 4.5)
        sheet.stroke(f"M-22 -14Q-2 -28 24 {-14 + t:.1f}", self.ink, 1.8, opacity=0.6)
        sheet.stroke("M-14 11Q4 15 18 6", self.ink, 1.6, opacity=0.6)

    def _brow(self, side: int) -> None:
        inner, outer = {"angry": (9, -5), "shout": (8, -5), "sad": (-8, 5), "shy": (-5, 3), "surprised": (-8, -7)}.get(
            self.expression, (0.0, 0.0)
        )
        gap = 39 + self.sheet.hand.eye_gap
        up = -18 if self.sheet.hand.eye_style != "almond" else 0
        d = f"M{side * (gap - 17):.1f} {up + inner:.1f}Q{side * (gap + 2):.1f} {up - 8:.1f} {side * (gap + 20):.1f} {up + 1 + outer:.1f}"
        self.sheet.stroke(d, mix(self._lash(), self.who.hair_color, 0.55), 4.0)

    def _nose(self) -> None:
        nose, x = self.sheet.hand.nose, 3 * self.turn
        if nose == "dot":
            self.sheet.oval(x, 50, 2.2, 1.6, self.ink, opacity=0.7)
        elif nose == "line":
            self.sheet.stroke(f"M{x + 2:.1f} 44Q{x + 6:.1f} 51 {x:.1f} 53", self.ink, 2.0, opacity=0.7)
        elif nose == "bridge":
            self.sheet.stroke(f"M{x + 4:.1f} 14Q{x + 3:.1f} 34 {x + 10:.1f} 46Q{x + 4:.1f} 53 {x - 4:.1f} 50", self.ink, 2.0)

    def _mouth(self) -> None:
        sheet, e, x = self.sheet, self.expression, 3 * self.turn
        inside, tongue = "#a83a48", "#f08c8c"
        if e in ("grin", "laugh"):
            d = f"M{x - 17:.1f} 60Q{x:.1f} 65 {x + 17:.1f} 60Q{x + 13:.1f} 81 {x:.1f} 81Q{x - 13:.1f} 81 {x - 17:.1f} 60Z"
            sheet.path(d, inside, line=0.7, track=False)
            sheet.oval(x, 76, 8, 4.2, tongue)
            sheet.stroke(f"M{x - 11:.1f} 63Q{x:.1f} 67 {x + 11:.1f} 63", "#ffffff", 2.6)
        elif e in ("surprised", "shout"):
            sheet.oval(x, 69, 8 if e == "surprised" else 12, 9 if e == "surprised" else 10, inside, line=0.7)
            sheet.oval(x, 74, 5, 3.2, tongue)
        else:
            d = {
                "smile": f"M{x - 13:.1f} 65Q{x:.1f} 76 {x + 13:.1f} 65", "happy": f"M{x - 14:.1f} 64Q{x:.1f} 77 {x + 14:.1f} 64",
                "wink": f"M{x - 12:.1f} 66Q{x + 2:.1f} 77 {x + 14:.1f} 63", "shy": f"M{x - 9:.1f} 67Q{x - 4:.1f} 72 {x:.1f} 67Q{x + 4:.1f} 72 {x + 9:.1f} 67",
                "angry": f"M{x - 11:.1f} 71Q{x:.1f} 63 {x + 11:.1f} 71", "sad": f"M{x - 9:.1f} 71Q{x:.1f} 65 {x + 9:.1f} 71",
            }.get(e, f"M{x - 7:.1f} 68Q{x:.1f} 71 {x + 7:.1f} 68")  # fmt: skip
            sheet.stroke(d, self.ink, 3.0)

    def _blush(self) -> None:
        strength = self.sheet.hand.blush * 0.45 + (0.5 if self.expression == "shy" else 0)
        if strength < 0.05:
            return
        for side in (-1, 1):
            self.sheet.oval(side * 54, 56, 15, 8, mix(self.skin, "#ff6a78", 0.6), opacity=min(0.85, strength))
            if self.expression == "shy":
                for k in (-7, 0, 7):
                    self.sheet.stroke(f"M{side * 54 + k + 2} 52L{side * 54 + k - 2} 60", "#e0505c", 2.0, opacity=0.8)
