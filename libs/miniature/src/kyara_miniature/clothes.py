"""Bodies and what they wear.

Coordinates are those of the body: the chin is (0, 0), shoulders near y = 24, waist y = 100, hips y = 146, feet near
y = 272; the figure scales them to the hand's and the character's build.
"""

from kyara_miniature.cast import Character, Outfit
from kyara_miniature.colour import light, mix, shadow
from kyara_miniature.sheet import Sheet

FOOT = 268

Joint = tuple[float, float]
POSES: dict[str, tuple[tuple[Joint, Joint], tuple[Joint, Joint]]] = {
    # (left elbow, left hand), (right elbow, right hand); left is x < 0
    "standing": (((-60, 84), (-62, 138)), ((60, 84), (62, 138))),
    "arms_up": (((-92, 10), (-112, -56)), ((92, 10), (112, -56))),
    "waving": (((-60, 84), (-62, 138)), ((96, 54), (112, -18))),
    "hand_on_hip": (((-60, 84), (-62, 138)), ((96, 78), (46, 112))),
    "arms_behind_back": (((-66, 82), (-34, 128)), ((66, 82), (34, 128))),
    "outstretched_arms": (((-88, 44), (-134, 46)), ((88, 44), (134, 46))),
    "own_hands_together": (((-62, 82), (-9, 80)), ((62, 82), (9, 80))),
}
"""Every pose: where elbows and hands are."""

TORSO = "M-42 26Q-46 62 -32 100Q-38 124 -44 148L44 148Q38 124 32 100Q46 62 42 26Q26 16 12 13L-12 13Q-26 16 -42 26Z"


class Body:
    """The body and clothes of one figure on a sheet. Call the layers from back to front."""

    def __init__(self, sheet: Sheet, who: Character, outfit: Outfit, pose: str, step: float, raise_: float) -> None:
        self.sheet, self.who, self.fit, self.pose = sheet, who, outfit, pose
        self.step, self.raise_ = step, raise_
        k = sheet.hand.shade
        self.skin, self.skin_dark = who.skin, shadow(mix(who.skin, "#ff9a8a", 0.2), 0.55 * k)
        self.main, self.second, self.accent = outfit.main, outfit.second, outfit.accent
        self.main_dark, self.second_dark = shadow(outfit.main, 0.3 + 0.5 * k), shadow(outfit.second, 0.3 + 0.5 * k)
        g = sheet.hand.gradient * 0.45
        self.main_paint = sheet.gradient([(0, light(self.main, g * 0.4)), (1, shadow(self.main, g))], 10, 220)
        self.second_paint = sheet.gradient([(0, light(self.second, g * 0.4)), (1, shadow(self.second, g))], 90, 240)

    def behind(self) -> None:
        """Arms behind the back, and a cape."""
        if self.fit.kind == "armor":
            d = f"M-40 24Q-84 110 {-92 + self.step:.1f} 232Q0 252 {92 + self.step:.1f} 232Q84 110 40 24Z"
            self.sheet.path(d, shadow(self.accent, 0.5))
        if self.pose == "arms_behind_back":
            self._arms()

    def legs(self) -> None:
        """Legs, legwear and shoes."""
        sheet, w = self.sheet, 25 * self.sheet.hand.limb
        trousers = self._trousers()
        for s in (-1, 1):
            x0, x1, lift = s * 20, s * 22 + self.step * 0.6, max(0.0, s * self.step) * 0.5
            knee, foot = 206 - lift, FOOT - lift
            d = f"M{x0} 140Q{(x0 + x1) / 2 + s * 2:.1f} {knee:.1f} {x1:.1f} {foot - 8:.1f}"
            sheet.limb(d, w, self.skin)
            if trousers:
                sheet.limb(f"M{x0} 140Q{(x0 + x1) / 2 + s * 2:.1f} {knee:.1f} {x1:.1f} {foot - 18:.1f}", w + 8, trousers)
                sheet.stroke(f"M{x1 + 6:.1f} 180L{x1 + 7:.1f} {foot - 24:.1f}", shadow(trousers, 0.6), 4, opacity=0.6)
            elif self.fit.legs != "bare":
                top = {"socks": 226.0, "thighhighs": 186.0, "tights": 142.0}[self.fit.legs]
                color = self.fit.legwear
                sheet.limb(f"M{x0 + (x1 - x0) * (top - 140) / 130:.1f} {top - lift:.1f}L{x1:.1f} {foot - 8:.1f}", w + 1, color)
                if self.fit.legs == "thighhighs":
                    sheet.stroke(f"M{x0 - w / 2:.1f} {top - 6:.1f}L{x0 + w / 2:.1f} {top - 6:.1f}", self.accent, 4)
            d = f"M{x1 - 15:.1f} {foot:.1f}Q{x1 - 15:.1f} {foot - 22:.1f} {x1:.1f} {foot - 22:.1f}Q{x1 + 15:.1f} {foot - 22:.1f} {x1 + 15:.1f} {foot:.1f}Q{x1 + 14:.1f} {foot + 7:.1f} {x1:.1f} {foot + 7:.1f}Q{x1 - 14:.1f} {foot + 7:.1f} {x1 - 15:.1f} {foot:.1f}Z"
            sheet.path(d, self.fit.shoes)
            sheet.stroke(
                f"M{x1 - 8:.1f} {foot - 12:.1f}Q{x1 - 6:.1f} {foot - 17:.1f} {x1:.1f} {foot - 17:.1f}",
                light(self.fit.shoes, 0.5),
                3,
                opacity=0.7,
            )

    def _trousers(self) -> str | None:
        kind = self.fit.kind
        if kind in ("suit", "gakuran"):
            return self.main_dark
        if kind == "armor":
            return "#4a4a58"
        if self.who.boy and kind in ("blazer", "hoodie", "coat", "sweater"):
            return mix(self.fit.legwear, "#3a3f52", 0.7)
        return None

    def neck(self) -> None:
        """The neck, with the chin's shadow."""
        w = 12 * self.sheet.hand.limb
        self.sheet.path(f"M{-w} -14L{-w} 14Q{-w - 4} 20 -26 24L0 44L26 24Q{w + 4} 20 {w} 14L{w} -14Z", self.skin, track=False)
        self.sheet.path(f"M{-w + 1} -14L{-w + 1} 8Q0 20 {w - 1} 8L{w - 1} -14Z", self.skin_dark, line=0, track=False)

    def torso(self) -> None:
        """Everything on the trunk, with skirts."""
        getattr(self, f"_wear_{self.fit.kind}")()

    def arms(self) -> None:
        """Arms in front of the body."""
        if self.pose != "arms_behind_back":
            self._arms()

    # --- arms -------------------------------------------------------------------------------------------------

    def _arms(self) -> None:
        kind = self.fit.kind
        w = 20 * self.sheet.hand.limb
        for s, (elbow, hand) in zip((-1, 1), POSES[self.pose], strict=True):
            hand = (hand[0], hand[1] - self.raise_ * (1 if self.pose != "waving" or s > 0 else 0))
            arm = f"M{s * 38} 36Q{elbow[0]} {elbow[1]} {hand[0]} {hand[1]:.1f}"
            self.sheet.oval(hand[0], hand[1], w * 0.62, w * 0.66, self.skin, line=0.9, track=True)
            self.sheet.limb(arm, w, self.skin)
            self.sheet.oval(hand[0], hand[1], w * 0.56, w * 0.6, self.skin)
            if kind in ("kimono", "miko"):
                self._wide_sleeve(s, elbow, hand)
            elif kind in ("maid", "dress"):
                self._puff(s, elbow, hand)
            else:
                self._sleeve(s, elbow, hand, w)

    def _along(self, s: int, elbow: Joint, hand: Joint, t: float) -> Joint:
        u = 1 - t
        x = u * u * s * 38 + 2 * u * t * elbow[0] + t * t * hand[0]
        return x, u * u * 36 + 2 * u * t * elbow[1] + t * t * hand[1]

    def _sleeve(self, s: int, elbow: Joint, hand: Joint, w: float) -> None:
        short = self.fit.kind == "serafuku" and self.fit.legs in ("bare", "socks")
        end = 0.5 if short else 0.84
        tip = self._along(s, elbow, hand, end)
        # The first part of a quadratic curve is a quadratic curve with its control on the way to the elbow.
        ctrl = (s * 38 + (elbow[0] - s * 38) * end, 36 + (elbow[1] - 36) * end)
        fat = {"hoodie": 13, "sweater": 12, "coat": 12, "armor": 8}.get(self.fit.kind, 9)
        color = self.second if self.fit.kind == "armor" else self.main
        d = f"M{s * 38} 36Q{ctrl[0]:.1f} {ctrl[1]:.1f} {tip[0]:.1f} {tip[1]:.1f}"
        self.sheet.limb(d, w + fat, color)
        near = self._along(s, elbow, hand, end - 0.06)
        cuff = {"serafuku": self.accent, "coat": self.accent, "suit": "#f6f4f2", "blazer": "#f6f4f2"}.get(self.fit.kind)
        dx, dy = tip[0] - near[0], tip[1] - near[1]
        size = max(1e-6, (dx * dx + dy * dy) ** 0.5)
        nx, ny = -dy / size * (w + fat) * 0.42, dx / size * (w + fat) * 0.42
        line = f"M{tip[0] - nx:.1f} {tip[1] - ny:.1f}L{tip[0] + nx:.1f} {tip[1] + ny:.1f}"
        self.sheet.stroke(line, cuff or shadow(color, 0.7), 5 if cuff else 3)
        if self.fit.kind == "armor":
            self.sheet.oval(s * 44, 36, 23, 19, self.main, line=1, track=True, angle=s * 24)
            self.sheet.stroke(f"M{s * 32} 30Q{s * 46} 20 {s * 58} 36", light(self.main, 0.7), 3)

    def _puff(self, s: int, elbow: Joint, hand: Joint) -> None:
        tip = self._along(s, elbow, hand, 0.3)
        color = self.main
        self.sheet.oval((s * 40 + tip[0]) / 2, (34 + tip[1]) / 2, 22, 22, color, paint=self.main_paint, line=1, track=True)
        self.sheet.oval(tip[0], tip[1], 14, 7, self.second if self.fit.kind == "maid" else self.accent, line=0.7)

    def _wide_sleeve(self, s: int, elbow: Joint, hand: Joint) -> None:
        tip = self._along(s, elbow, hand, 0.86)
        drop = 52 if self.fit.kind == "kimono" else 58
        color = self.main
        d = (
            f"M{s * 34} 26Q{elbow[0]:.1f} {elbow[1] - 16:.1f} {tip[0] + s * 4:.1f} {tip[1] - 14:.1f}"
            f"L{tip[0] + s * 16:.1f} {tip[1] + drop:.1f}Q{tip[0] - s * 4:.1f} {tip[1] + drop + 8:.1f} {tip[0] - s * 22:.1f} {tip[1] + drop - 6:.1f}"
            f"Q{s * 46} 96 {s * 36} 74Z"
        )
        self.sheet.path(d, color, paint=self.main_paint)
        edge = self.second if self.fit.kind == "miko" else self.accent
        self.sheet.stroke(f"M{tip[0] + s * 4:.1f} {tip[1] - 10:.1f}L{tip[0] + s * 15:.1f} {tip[1] + drop - 2:.1f}", edge, 4)

    # --- garments ---------------------------------------------------------------------------------------------

    def _trunk(self, color: str, paint: str | None = None) -> None:
        self.sheet.path(TORSO, color, paint=paint)
        if self.sheet.hand.shade > 0.1:
            d = "M42 26Q46 62 32 100Q38 124 44 148L18 148Q24 120 20 98Q30 62 26 30Z"
            self.sheet.path(d, shadow(color, 0.9), line=0, opacity=0.4 * self.sheet.hand.shade + 0.1, track=False)

    def _skirt(self, color: str, top: float, hem: float, half: float, folds: int, *, paint: str | None = None) -> None:
        sway = self.step * 0.5
        d = f"M-33 {top}Q{-half * 0.8:.1f} {(top + hem) / 2:.1f} {-half + sway:.1f} {hem:.1f}"
        for i in range(folds):
            x = -half + 2 * half * (i + 1) / folds + sway
            d += f"Q{x - half / folds:.1f} {hem + 11:.1f} {x:.1f} {hem:.1f}"
        self.sheet.path(d + f"Q{half * 0.8:.1f} {(top + hem) / 2:.1f} 33 {top}Z", color, paint=paint)
        dark = shadow(color, 0.75)
        for i in range(1, folds):
            x = -1 + 2 * i / folds
            self.sheet.stroke(f"M{x * 30:.1f} {top + 8}L{x * half + sway:.1f} {hem + 1:.1f}", dark, 2.6, opacity=0.7)

    def _collar(self, color: str, low: float = 62) -> None:
        self.sheet.path(f"M-14 12Q-22 16 -26 22L-4 {low}L0 {low - 6}L-8 30Z", color, line=0.8, track=False)
        self.sheet.path(f"M14 12Q22 16 26 22L4 {low}L0 {low - 6}L8 30Z", color, line=0.8, track=False)

    def _tie(self, color: str) -> None:
        self.sheet.path("M-7 32L7 32L5 42L11 84L0 96L-11 84L-5 42Z", color, line=0.8, track=False)
        self.sheet.stroke("M-8 62L8 54M-9 78L9 70", light(color, 0.5), 3, opacity=0.7)

    def _ribbon(self, color: str, y: float) -> None:
        for s in (-1, 1):
            self.sheet.path(
                f"M0 {y}Q{s * 20} {y - 18} {s * 32} {y - 8}Q{s * 34} {y + 8} {s * 28} {y + 14}Q{s * 14} {y + 10} 0 {y}Z",
                color,
                line=0.8,
                track=False,
            )
            self.sheet.path(f"M0 {y}L{s * 18} {y + 34}L{s * 7} {y + 30}Z", shadow(color, 0.4), line=0.8, track=False)
        self.sheet.oval(0, y, 7, 7, light(color, 0.25), line=0.8)

    def _buttons(self, x: float, ys: tuple[int, ...], color: str) -> None:
        for y in ys:
            self.sheet.oval(x, y, 4, 4, color, line=0.5)

    def _wear_serafuku(self) -> None:
        self._skirt(self.second, 104, 172, 64, 8, paint=self.second_paint)
        self._trunk(self.main, self.main_paint)
        self.sheet.path("M-32 112Q0 120 32 112L34 120Q0 128 -34 120Z", self.main_dark, line=0.6, track=False)
        self.sheet.path(
            "M-12 13Q-30 14 -42 24Q-46 44 -42 58Q-16 54 0 66Q16 54 42 58Q46 44 42 24Q30 14 12 13L0 44Z",
            self.second,
            line=0.9,
            track=False,
        )
        self.sheet.stroke("M-38 50Q-16 48 -2 58M38 50Q16 48 2 58", "#ffffff" if self.second != "#f2efe9" else self.accent, 2.6)
        self._ribbon(self.accent, 62)

    def _wear_blazer(self) -> None:
        if not self.who.boy:
            self._skirt(self.accent, 112, 174, 60, 8)
            for y in (146, 160):
                self.sheet.stroke(f"M-50 {y}Q0 {y + 8} 50 {y}", light(self.accent, 0.5), 2.4, opacity=0.6)
        self._trunk(self.second)
        self._tie(self.accent)
        for s in (-1, 1):
            d = f"M{s * 14} 14Q{s * 30} 16 {s * 42} 26Q{s * 46} 62 {s * 32} 100Q{s * 38} 124 {s * 46} 150L{s * 4} 150L{s * 2} 96L{s * 22} 34Z"
            self.sheet.path(d, self.main, paint=self.main_paint)
            self.sheet.path(
                f"M{s * 14} 14L{s * 30} 24L{s * 26} 56L{s * 2} 96L{s * 20} 40Z", light(self.main, 0.14), line=0.8, track=False
            )
        self._buttons(7, (108, 128), "#f3cf62")
        self.sheet.path("M20 70L34 68L33 84L27 88L20 84Z", "#f3cf62", line=0.5, track=False)

    def _wear_maid(self) -> None:
        self._skirt(self.main, 98, 196, 82, 7, paint=self.main_paint)
        self._trunk(self.main, self.main_paint)
        self.sheet.path("M-24 40Q0 52 24 40L27 100Q0 106 -27 100Z", self.second, line=0.8, track=False)
        d = "M-30 100Q-58 140 -54 184Q-44 196 -34 186Q-24 198 -12 188Q0 200 12 188Q24 198 34 186Q44 196 54 184Q58 140 30 100Z"
        self.sheet.path(d, self.second, line=0.9, track=False)
        self.sheet.stroke("M-20 120L-26 176M20 120L26 176", shadow(self.second, 0.5), 2.6)
        for s in (-1, 1):
            self.sheet.path(
                f"M{s * 20} 44L{s * 14} 16Q{s * 40} 6 {s * 54} 30Q{s * 44} 46 {s * 30} 40L{s * 28} 60Z", self.second, line=0.8
            )
        self.sheet.path("M-32 94Q0 102 32 94L33 106Q0 114 -33 106Z", self.second, line=0.8, track=False)
        self._collar(self.second, 36)
        self._ribbon(self.accent, 38)

    def _wear_miko(self) -> None:
        self._skirt(self.second, 88, 244, 66, 6, paint=self.second_paint)
        self._trunk(self.main)
        self._crossed("#f8f4f0", self.second)
        self.sheet.path("M-34 84Q0 92 34 84L36 102Q0 110 -36 102Z", self.second, line=0.9, track=False)
        self.sheet.path("M-16 122L16 122L10 100L-10 100Z", self.second, line=0, track=False)
        self._ribbon(shadow(self.second, 0.2), 98)

    def _crossed(self, color: str, edge: str) -> None:
        self.sheet.path("M14 12L28 20L-14 88L-30 84Z", color, line=0.7, track=False)
        self.sheet.path("M-14 12L-28 20L14 88L30 84Z", color, line=0.8, track=False)
        self.sheet.stroke("M-15 14L20 74", edge, 3.4)
        self.sheet.stroke("M15 14L2 36", edge, 3.4)

    def _wear_kimono(self) -> None:
        sway = self.step * 0.4
        d = f"M-36 92Q-52 160 {-46 + sway:.1f} 248L{46 + sway:.1f} 248Q52 160 36 92Z"
        self.sheet.path(d, self.main, paint=self.main_paint)
        self.sheet.stroke(f"M8 112Q18 180 {4 + sway:.1f} 246", self.main_dark, 3)
        self._trunk(self.main, self.main_paint)
        for x, y in ((-28, 150), (24, 186), (-18, 214), (32, 140), (-36, 190), (30, 228)):
            for k in range(5):
                self.sheet.push(dx=x, dy=y, angle=72 * k)
                self.sheet.oval(0, -5, 3.6, 4.6, light(self.accent, 0.35))
                self.sheet.pop()
            self.sheet.oval(x, y, 2.6, 2.6, "#f8d45c")
        self._crossed(light(self.second, 0.5), self.accent)
        self.sheet.path("M-35 78Q0 86 35 78Q34 104 39 120Q0 130 -39 120Q-34 104 -35 78Z", self.second, line=0.9, track=False)
        self.sheet.stroke("M-36 100Q0 108 36 100", self.accent, 6)
        self.sheet.oval(0, 104, 7, 7, light(self.accent, 0.4), line=0.6)

    def _wear_hoodie(self) -> None:
        if not self.who.boy:
            self._skirt(self.second, 130, 166, 54, 5)
        d = "M-44 26Q-52 80 -52 132Q-50 152 -44 156L44 156Q50 152 52 132Q52 80 44 26Q26 15 12 13L-12 13Q-26 15 -44 26Z"
        self.sheet.path(d, self.main, paint=self.main_paint)
        self.sheet.path("M-46 142L46 142L44 156L-44 156Z", self.main_dark, line=0.8, track=False)
        self.sheet.path("M-24 104L24 104L36 138L-36 138Z", light(self.main, 0.12), line=0.8, track=False)
        self.sheet.path(
            "M-14 8Q-48 10 -46 38Q-24 58 0 50Q24 58 46 38Q48 10 14 8Q22 26 0 42Q-22 26 -14 8Z", light(self.main, 0.1), line=0.9
        )
        self.sheet.stroke("M-12 46L-14 84M12 46L14 80", "#fbfaf8", 4)
        self.sheet.oval(0, 82, 12, 12, self.accent, opacity=0.9)

    def _wear_suit(self) -> None:
        self._trunk("#f6f4f2")
        self._tie(self.accent)
        for s in (-1, 1):
            d = f"M{s * 14} 14Q{s * 30} 16 {s * 44} 26Q{s * 47} 62 {s * 34} 100Q{s * 40} 124 {s * 47} 158L{s * 10} 162L{s * 1} 104L{s * 22} 34Z"
            self.sheet.path(d, self.main, paint=self.main_paint)
            self.sheet.path(
                f"M{s * 14} 14L{s * 32} 26L{s * 22} 44L{s * 27} 52L{s * 2} 104L{s * 20} 38Z",
                self.main_dark,
                line=0.8,
                track=False,
            )
        self._buttons(5, (116, 136), "#26262f")
        self.sheet.path("M22 66L36 62L35 70L23 73Z", "#f6f4f2", line=0.5, track=False)

    def _wear_dress(self) -> None:
        self._skirt(self.main, 98, 206, 86, 6, paint=self.main_paint)
        self._skirt(self.second, 98, 140, 58, 6)
        self._trunk(self.main, self.main_paint)
        self.sheet.path("M-30 26Q-14 44 0 40Q14 44 30 26Q20 58 0 62Q-20 58 -30 26Z", self.second, line=0.8, track=False)
        self.sheet.path("M-33 92Q0 100 33 92L34 106Q0 114 -34 106Z", self.accent, line=0.8, track=False)
        self._ribbon(self.accent, 44)
        self._buttons(0, (72, 84), light(self.accent, 0.5))

    def _wear_armor(self) -> None:
        self._skirt(self.second, 104, 168, 62, 5, paint=self.second_paint)
        self._trunk(self.second)
        d = "M-40 30Q-20 40 0 30Q20 40 40 30Q46 62 33 98Q0 112 -33 98Q-46 62 -40 30Z"
        paint = self.sheet.gradient([(0, light(self.main, 0.5)), (0.5, self.main), (1, shadow(self.main, 0.8))], 28, 110)
        self.sheet.path(d, self.main, paint=paint)
        self.sheet.stroke("M0 36L0 104M-34 70Q-16 84 0 74Q16 84 34 70", shadow(self.main, 0.9), 3)
        self.sheet.stroke("M-30 40Q-34 60 -26 80", light(self.main, 0.9), 4, opacity=0.8)
        for s in (-1, 1):
            self.sheet.path(
                f"M{s * 12} 108L{s * 46} 104L{s * 56} 150L{s * 34} 162L{s * 16} 148Z", self.main, paint=paint, line=0.9
            )
        self.sheet.path("M-12 16Q0 26 12 16L16 30Q0 42 -16 30Z", self.main, line=0.8, track=False)
        self.sheet.oval(0, 52, 8, 10, self.accent, line=0.8)

    def _wear_coat(self) -> None:
        sway = self.step * 0.4
        self._trunk(self.second)
        for s in (-1, 1):
            d = f"M{s * 12} 12Q{s * 30} 14 {s * 46} 26Q{s * 49} 64 {s * 36} 100Q{s * 56} 150 {s * 66 + sway:.1f} 214Q{s * 40 + sway:.1f} 226 {s * 10 + sway:.1f} 218L{s * 1} 104L{s * 8} 44Z"
            self.sheet.path(d, self.main, paint=self.main_paint)
            self.sheet.stroke(f"M{s * 34} 116Q{s * 44} 160 {s * 46 + sway:.1f} 208", self.main_dark, 3)
        self.sheet.path("M-37 94Q0 102 37 94L39 108Q0 116 -39 108Z", self.accent, line=0.8, track=False)
        self.sheet.path("M-9 96L9 96L9 112L-9 112Z", "#f3cf62", line=0.7, track=False)
        self._buttons(-14, (62, 80, 130), "#f3cf62")
        self._buttons(14, (62, 80, 130), "#f3cf62")
        self.sheet.path("M-13 6Q-44 10 -46 32Q-24 42 0 58Q24 42 46 32Q44 10 13 6Q16 24 0 38Q-16 24 -13 6Z", self.accent, line=0.9)

    def _wear_sweater(self) -> None:
        if not self.who.boy:
            self._skirt(self.second, 120, 178, 62, 8, paint=self.second_paint)
        d = "M-43 26Q-48 76 -44 130L-42 144L42 144L44 130Q48 76 43 26Q26 15 12 13L-12 13Q-26 15 -43 26Z"
        self.sheet.path(d, self.main, paint=self.main_paint)
        for x in (-24, -8, 8, 24):
            self.sheet.stroke(f"M{x} 44L{x * 1.06:.1f} 126", self.main_dark, 2.2, opacity=0.6)
        self.sheet.path("M-43 132L43 132L42 146L-42 146Z", self.main_dark, line=0.8, track=False)
        self.sheet.path("M-17 -2Q0 8 17 -2L21 22Q0 34 -21 22Z", light(self.main, 0.12), line=0.9, track=False)
        self.sheet.stroke("M-40 66Q0 74 40 66", self.accent, 6, opacity=0.9)
        self.sheet.stroke("M-40 80Q0 88 40 80", light(self.accent, 0.4), 4, opacity=0.9)

    def _wear_gakuran(self) -> None:
        self._trunk(self.main, self.main_paint)
        self.sheet.path("M-44 128L44 128L46 158L-46 158Z", self.main, line=0.9)
        self.sheet.stroke("M0 30L0 156", self.main_dark, 3)
        self._buttons(0, (46, 68, 90, 112, 134), "#f3cf62")
        self.sheet.path("M-16 4Q0 14 16 4L20 24Q0 36 -20 24Z", self.main, line=0.9, track=False)
        self.sheet.stroke("M-14 8Q0 16 14 8", "#fbfaf8", 2.5)
