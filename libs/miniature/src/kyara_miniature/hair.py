"""Hair: what hangs behind the body, the cap on the skull, the fringe, and what falls in front of the shoulders.

Coordinates are those of the head: its middle is (0, 0), the crown is near y = -120 and the chin near y = 92.
"""

import itertools
import math

from kyara_miniature.cast import Character
from kyara_miniature.colour import light, mix, shadow
from kyara_miniature.sheet import Sheet

FRINGES: dict[str, list[tuple[float, float]]] = {
    "jagged": [(76, 14), (62, -26), (50, 4), (36, -30), (20, 6), (6, -34), (-16, 2), (-30, -32), (-46, 8), (-62, -26),
               (-76, 16)],
    "blunt": [(78, 6), (64, -10), (54, 2), (38, -9), (28, 3), (8, -8), (0, 4), (-14, -8), (-28, 3), (-40, -9),
              (-54, 2), (-66, -10), (-78, 6)],
    "swept": [(80, 22), (68, -20), (62, -4), (46, -70), (10, 8), (-4, -28), (-34, 12), (-44, -18), (-62, 18),
              (-68, -14), (-80, 26)],
    "center": [(80, 26), (68, -10), (58, 4), (40, -30), (36, -14), (0, -92), (-36, -14), (-40, -30), (-58, 4),
               (-68, -10), (-80, 26)],
    "between": [(78, 16), (62, -24), (48, 2), (26, -38), (2, 38), (-18, -38), (-46, 4), (-62, -24), (-78, 18)],
    "spiky": [(82, 20), (60, -40), (58, 8), (26, -48), (22, 12), (-8, -50), (-20, 6), (-44, -44), (-58, 14),
              (-62, -36), (-84, 22)],
    "arched": [(78, 22), (66, -14), (50, -14), (30, -36), (16, -30), (0, -42), (-16, -30), (-30, -36), (-50, -14),
               (-66, -14), (-78, 22)],
}  # fmt: skip
"""Lower edge of each fringe, right to left: tip, valley, tip, ..."""

LOCKS = {
    "hime": 92, "bob": 66, "pixie": 30, "spiky": 38, "messy": 34, "bun": 92, "double_bun": 96, "curly": 40, "long": 112,
    "twintails": 88, "low_twintails": 84, "ponytail": 94, "side_ponytail": 88, "wavy": 112, "drill": 70,
    "side_braid": 84, "twin_braids": 80, "boy_long": 88,
}  # fmt: skip
"""How far down the side locks of each style reach."""

CAP = "M-99 28C-116 -62 -78 -124 0 -124C78 -124 116 -62 99 28"


class Hair:
    """The hair of one figure on a sheet. Call the layers from back to front."""

    def __init__(self, sheet: Sheet, character: Character, sway: float, turn: float) -> None:
        self.sheet, self.who, self.sway, self.turn = sheet, character, sway, turn
        hand = sheet.hand
        self.color = character.hair_color
        self.dark = shadow(self.color, 0.35 + 0.5 * hand.shade)
        self.tip = character.tip_color or mix(self.color, light(self.color, 0.35), hand.gradient * 0.7)
        top = mix(self.color, self.dark, 0.25 * hand.gradient)
        self.paint = sheet.gradient([(0, top), (0.45, self.color), (1, mix(self.color, self.tip, 0.5))], -124, 60)
        self.long_paint = sheet.gradient([(0, top), (0.35, self.color), (1, self.tip)], -120, 270)
        back = shadow(self.color, 0.35 + 0.35 * hand.shade)
        self.back_paint = sheet.gradient([(0, back), (0.5, back), (1, mix(back, self.tip, 0.7))], -100, 300)

    def back(self) -> None:
        """Everything behind the body."""
        style, w = self.who.hair_style, self.sway
        self.sheet.push(sx=self.sheet.hand.hair_volume, dx=-4 * self.turn)
        if style in ("long", "hime"):
            self._sheet_of_hair(262 if style == "long" else 230, 112, w, ragged=style == "long")
        elif style == "wavy":
            self._wavy(w)
        elif style == "bob":
            self._behind("M-100 -20C-124 40 -116 84 -78 98C-40 106 40 106 78 98C116 84 124 40 100 -20Z")
        elif style == "curly":
            self._curls()
        elif style in ("pixie", "messy", "spiky"):
            self._behind("M-100 -20C-112 30 -98 62 -70 76L-52 60L-30 84L0 70L30 84L52 60L70 76C98 62 112 30 100 -20Z")
        elif style == "boy_long":
            self._behind(f"M-60 40C-40 90 -30 140 {-16 + w:.1f} 190C{10 + w:.1f} 150 40 90 60 40Z")
            self._behind("M-98 -20C-110 40 -90 74 -60 82L60 82C90 74 110 40 98 -20Z")
        else:
            self._behind("M-98 -20C-112 40 -92 78 -56 90L56 90C92 78 112 40 98 -20Z")
        if style == "twintails":
            self._tail(96, -52, 168, 232, w, 46)
            self._tail(-96, -52, -168, 232, w, 46)
        elif style == "low_twintails":
            self._tail(82, 62, 120, 262, w, 34)
            self._tail(-82, 62, -120, 262, w, 34)
        elif style == "ponytail":
            self._tail(30, -112, 170, 190, w, 58, lift=70)
        elif style == "drill":
            self._drill(104, w)
            self._drill(-104, w)
        elif style == "bun":
            self._ball(0, -138, 44)
        elif style == "double_bun":
            self._ball(78, -106, 37)
            self._ball(-78, -106, 37)
        self.sheet.pop()

    def _behind(self, d: str) -> None:
        self.sheet.path(d, self.dark, paint=self.back_paint)

    def _sheet_of_hair(self, low: float, half: float, w: float, *, ragged: bool) -> None:
        tips = [(-0.98, 0), (-0.66, 16), (-0.34, 6), (0, 18), (0.34, 6), (0.66, 16), (0.98, 0)]
        edge = f"M-98 -30C-122 60 {-half + w * 0.4:.1f} 150 {-half + w:.1f} {low:.1f}"
        for (x0, _), (x1, y1) in itertools.pairwise(tips):
            dip = -20 if ragged else -3
            edge += f"Q{(x0 + x1) / 2 * half + w:.1f} {low + dip:.1f} {x1 * half + w:.1f} {low + y1 * ragged:.1f}"
        edge += f"C{half + w * 0.4:.1f} 150 122 60 98 -30Z"
        self._behind(edge)
        for x in (-70, -40, 42, 72):
            d = f"M{x} 80Q{x * 1.12 + w * 0.5:.1f} 150 {x * 1.1 + w * 0.9:.1f} {low - 14}"
            self.sheet.stroke(d, shadow(self.dark, 0.5), 2.2, opacity=0.5)

    def _wavy(self, w: float) -> None:
        d = "M-98 -30"
        for i, x in enumerate((-124, -104, -132, -110, -128)):
            y = 20 + i * 56
            d += f"Q{x - 16 + w * i / 4:.1f} {y - 28} {x + w * i / 4:.1f} {y}"
        d += f"Q{-90 + w:.1f} 278 {-70 + w:.1f} 252Q{-40 + w:.1f} 292 {-14 + w:.1f} 258"
        d += f"Q{16 + w:.1f} 294 {44 + w:.1f} 256Q{80 + w:.1f} 286 {128 + w:.1f} 244"
        for i, x in reversed(list(enumerate((124, 104, 132, 110)))):
            y = 20 + i * 56
            d += f"Q{x + 22 + w * i / 4:.1f} {y + 28} {x + w * i / 4:.1f} {y}"
        self._behind(d + "Q118 0 98 -30Z")
        for x in (-88, -56, 58, 90):
            d = f"M{x} 90Q{x - 14} 130 {x + 2 + w * 0.5:.1f} 160Q{x + 14 + w:.1f} 200 {x + w:.1f} 236"
            self.sheet.stroke(d, shadow(self.dark, 0.5), 2.4, opacity=0.55)

    def _curls(self) -> None:
        for i in range(11):
            angle = math.radians(20 + i * 32)
            x, y = 96 * math.sin(angle), -8 - 96 * math.cos(angle)
            self.sheet.oval(x, y, 37, 37, self.dark, paint=self.back_paint, line=1, track=True)
        self.sheet.oval(0, 0, 98, 98, self.dark, paint=self.back_paint)

    def _tail(self, x: float, y: float, end: float, low: float, w: float, fat: float, lift: float = 26) -> None:
        s = 1 if end > 0 else -1
        out, tip = end + s * fat * 0.5, end - s * 22 + w * 1.6
        d = (
            f"M{x - s * 8:.1f} {y - 8:.1f}C{x + s * 40:.1f} {y - lift:.1f} {out + s * 14:.1f} {y + 20:.1f} {out + w:.1f}"
            f" {(y + low) / 2:.1f}Q{out + w * 1.3:.1f} {low - 40:.1f} {tip:.1f} {low:.1f}"
            f"Q{end - s * 20 + w:.1f} {low - 20:.1f} {end - s * 34 + w * 1.2:.1f} {low - 34:.1f}"
            f"Q{end - s * (fat + 26) + w:.1f} {(y + low) / 2 + 30:.1f} {x + s * 6:.1f} {y + 26:.1f}Z"
        )
        self.sheet.path(d, self.color, paint=self.long_paint)
        line = f"M{x + s * 14:.1f} {y + 2:.1f}Q{end + s * 8:.1f} {y + 40:.1f} {end - s * 4 + w:.1f} {low - 60:.1f}"
        self.sheet.stroke(line, self.dark, 2.6, opacity=0.6)
        shine = f"M{end - s * 26:.1f} {y + 52:.1f}Q{end:.1f} {y + 44:.1f} {end + s * 16:.1f} {y + 62:.1f}"
        self.sheet.stroke(shine, light(self.color, 0.7), 7, opacity=self.sheet.hand.gloss * 0.7)
        self.sheet.oval(x, y + 6, 13, 15, self.who.accent, line=0.9)

    def _drill(self, x: float, w: float) -> None:
        for i in range(6):
            width = 36 - i * 4.5
            y = 14 + i * 34
            at = x * (1 + 0.02 * i) + w * i / 6
            d = (
                f"M{at - width:.1f} {y - 14:.1f}Q{at:.1f} {y + 4:.1f} {at + width:.1f} {y - 20:.1f}"
                f"Q{at + width + 8:.1f} {y + 10:.1f} {at + width * 0.7:.1f} {y + 24:.1f}"
                f"Q{at:.1f} {y + 38:.1f} {at - width * 0.8:.1f} {y + 22:.1f}Q{at - width - 8:.1f} {y:.1f}"
                f" {at - width:.1f} {y - 14:.1f}Z"
            )
            self.sheet.path(d, self.color, paint=self.long_paint)
            shade = f"M{at - width * 0.7:.1f} {y + 20:.1f}Q{at:.1f} {y + 32:.1f} {at + width * 0.6:.1f} {y + 20:.1f}"
            self.sheet.stroke(shade, self.dark, 6, opacity=0.6)
            shine = f"M{at - width * 0.3:.1f} {y + 2:.1f}L{at + width * 0.1:.1f} {y + 1:.1f}"
            self.sheet.stroke(shine, light(self.color, 0.7), 6, opacity=self.sheet.hand.gloss)

    def _ball(self, x: float, y: float, r: float) -> None:
        self.sheet.oval(x, y, r, r * 0.95, self.color, paint=self.paint, line=1, track=True)
        for k in (-0.4, 0.1, 0.55):
            d = f"M{x + k * r:.1f} {y - r * 0.75:.1f}Q{x + k * r * 1.8:.1f} {y:.1f} {x + k * r:.1f} {y + r * 0.7:.1f}"
            self.sheet.stroke(d, self.dark, 2.4, opacity=0.6)
        shine = f"M{x - r * 0.6:.1f} {y - r * 0.3:.1f}Q{x - r * 0.3:.1f} {y - r * 0.7:.1f} {x + r * 0.2:.1f} {y - r * 0.7:.1f}"
        self.sheet.stroke(shine, light(self.color, 0.7), 6, opacity=self.sheet.hand.gloss)
        self.sheet.oval(x * 0.93, y + r * 0.92, r * 0.55, 8, self.who.accent, line=0.8)

    def fringe_path(self) -> str:
        """The cap and fringe as one closed path, also used for the shadow that it throws on the face."""
        points = FRINGES[self.who.bangs]
        d = f"{CAP}Q94 2 {points[0][0]} {points[0][1]}"
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            if y1 < y0:
                d += f"Q{x0 + (x1 - x0) * 0.25:.1f} {y0 * 0.55 + y1 * 0.45:.1f} {x1} {y1}"
            else:
                d += f"Q{x1 + (x0 - x1) * 0.15:.1f} {y0 * 0.5 + y1 * 0.5:.1f} {x1} {y1}"
        return d + "Q-94 2 -99 28Z"

    def front(self) -> None:
        """Side locks, cap, fringe, light and strands, ahoge."""
        sheet, hand = self.sheet, self.sheet.hand
        sheet.push(sx=hand.hair_volume, dx=5 * self.turn)
        for side in (-1, 1):
            self._lock(side)
        if self.who.hair_style in ("spiky", "messy"):
            self._spikes()
        if self.who.hair_style == "curly":
            for x, y in ((-92, -24), (92, -24), (-70, -84), (70, -84), (-26, -112), (26, -112)):
                sheet.oval(x, y, 32, 30, self.color, paint=self.paint, line=1, track=True)
        sheet.path(self.fringe_path(), self.color, paint=self.paint)
        self._shade_fringe()
        if hand.gloss:
            self._shine()
        if self.who.ahoge:
            w = self.sway
            d = f"M-8 -118C-14 -150 {6 + w:.1f} -172 {40 + w:.1f} -164C{20 + w:.1f} -156 8 -142 10 -118Z"
            sheet.path(d, self.color, paint=self.paint)
        sheet.pop()

    def _shade_fringe(self) -> None:
        points = FRINGES[self.who.bangs]
        for x, y in points[1::2]:
            d = f"M{x} {y}Q{x * 0.9:.1f} {y - 22:.1f} {x * 0.62:.1f} {max(y - 46, -108):.1f}"
            self.sheet.stroke(d, self.dark, 2.6, opacity=0.75)
        if self.sheet.hand.shade > 0.2:
            for s in (-1, 1):
                d = f"M{s * 98} 20C{s * 110} -52 {s * 84} -104 {s * 44} -116C{s * 74} -94 {s * 92} -52 {s * 84} 8Z"
                self.sheet.path(d, self.dark, line=0, opacity=0.45 * self.sheet.hand.shade, track=False)

    def _shine(self) -> None:
        top = "M-74 -58C-58 -88 -30 -96 0 -96C30 -96 58 -88 74 -58"
        low = "L64 -66L58 -56L46 -74L36 -66L24 -80L10 -72L0 -84L-12 -72L-24 -80L-38 -66L-48 -74L-60 -56L-64 -66Z"
        self.sheet.path(top + low, light(self.color, 0.62), line=0, opacity=self.sheet.hand.gloss, track=False)

    def _lock(self, side: int) -> None:
        low, w = LOCKS[self.who.hair_style], self.sway * 0.5
        if self.who.hair_style == "hime":
            d = (
                f"M{side * 98} -30Q{side * 106} 30 {side * 101 + w:.1f} {low}L{side * 66 + w:.1f} {low}"
                f"Q{side * 74} 20 {side * 74} -20Z"
            )
        else:
            d = (
                f"M{side * 98} -30Q{side * 112} 30 {side * 84 + w:.1f} {low}Q{side * 80 + w:.1f} {low * 0.7:.1f}"
                f" {side * 68 + w:.1f} {low * 0.8:.1f}Q{side * 80} 20 {side * 72} -30Z"
            )
        self.sheet.path(d, self.color, paint=self.paint)
        line = f"M{side * 88} 0Q{side * 92} 30 {side * 84 + w:.1f} {low * 0.7:.1f}"
        self.sheet.stroke(line, self.dark, 2.2, opacity=0.6)

    def _spikes(self) -> None:
        wild = self.who.hair_style == "spiky"
        tall = 30 if wild else 15
        tips = [(-128, -6), (-134, -52), (-112, -92), (-72, -124), (-26, -140), (30, -140), (78, -122), (114, -88),
                (134, -48), (126, -2)]  # fmt: skip
        d = "M-92 24"
        for i, (x, y) in enumerate(tips):
            k = 1 + tall / 260 if i % 2 or wild else 0.98
            d += f"Q{x * 0.84:.1f} {y * 0.86 + 12:.1f} {x * k * (0.9 if not wild else 1):.1f} {y * k:.1f}"
            d += f"Q{x * 0.86:.1f} {y * 0.9:.1f} {x * 0.74 + 8:.1f} {y * 0.8:.1f}"
        self.sheet.path(d + "L92 24Z", self.color, paint=self.paint)

    def over_shoulders(self) -> None:
        """Braids and side tails that fall in front of the body."""
        style, w = self.who.hair_style, self.sway
        if style == "side_braid":
            self._braid(-74, 74, w)
        elif style == "twin_braids":
            self._braid(-80, 70, w)
            self._braid(80, 70, w)
        elif style == "side_ponytail":
            self._tail(-94, 8, -112, 216, w, 44)

    def _braid(self, x: float, y: float, w: float) -> None:
        for i in range(6):
            at, size = x + w * i / 6 - (4 if x < 0 else -4) * i * 0.3, 21 - i * 1.4
            for s in (-1, 1):
                self.sheet.oval(
                    at + s * size * 0.42, y + i * 25, size * 0.72, size * 0.98, self.color, paint=self.long_paint,
                    line=0.8, track=True, angle=s * -32,
                )  # fmt: skip
        end, low = x + w, y + 148
        self.sheet.oval(end, low - 2, 9, 7, self.who.accent, line=0.8)
        d = f"M{end - 7:.1f} {low + 4}Q{end - 18:.1f} {low + 22} {end:.1f} {low + 40}Q{end + 18:.1f} {low + 22} {end + 7:.1f} {low + 4}Z"
        self.sheet.path(d, self.color, paint=self.long_paint)
