"""What is worn on the head. Coordinates are those of the head, see `hair`."""

from kyara_miniature.colour import light, mix, shadow
from kyara_miniature.sheet import Sheet


def draw_behind(sheet: Sheet, kind: str, color: str, hair: str) -> None:
    """The parts of an accessory that the hair covers."""
    if kind == "rabbit_ears":
        for s in (-1, 1):
            sheet.path(
                f"M{s * 20} -100C{s * 10} -180 {s * 34} -250 {s * 62} -246C{s * 84} -230 {s * 76} -150 {s * 62} -96Z", hair
            )
            sheet.path(f"M{s * 32} -110C{s * 28} -170 {s * 42} -226 {s * 58} -228C{s * 70} -200 {s * 62} -150 {s * 52} -110Z",
                       "#ffb9c0", line=0, track=False)  # fmt: skip
    elif kind == "bow":
        for s in (-1, 1):
            sheet.path(f"M{s * 6} -112Q{s * 40} -172 {s * 86} -150Q{s * 92} -116 {s * 72} -88Q{s * 40} -100 {s * 6} -112Z", color)
            sheet.path(f"M{s * 12} -114Q{s * 46} -126 {s * 70} -126Q{s * 44} -108 {s * 12} -110Z", shadow(color, 0.7), line=0,
                       track=False)  # fmt: skip


def draw_before(sheet: Sheet, kind: str, color: str, hair: str, accent: str) -> None:
    """The parts of an accessory in front of the hair."""
    dark, bright = shadow(color, 0.6), light(color, 0.55)
    if kind in ("horns_ram", "horns_oni", "horns_dragon"):
        _horns(sheet, kind, color)
    elif kind in ("cat_ears", "fox_ears"):
        _ears(sheet, kind, hair)
    elif kind == "halo":
        sheet.oval(0, -156, 66, 15, "#ffd95e", opacity=0.25)
        for width, c in ((12.0, "#f2b632"), (7.0, "#fff0a8")):
            sheet.parts.append(
                f'<ellipse cx="0" cy="-156" rx="60" ry="14" fill="none" stroke="{sheet.hand.tone(c)}" stroke-width="{width}"/>'
            )
        sheet.outline += sheet.place([(-66, -156), (66, -156), (0, -176)])
    elif kind == "witch_hat":
        sheet.path("M-78 -88C-60 -150 -30 -190 24 -232Q44 -222 40 -196Q62 -150 78 -88Q0 -64 -78 -88Z", color)
        sheet.path("M30 -190Q52 -150 62 -92L78 -88Q62 -150 40 -196Z", dark, line=0, opacity=0.6, track=False)
        sheet.path("M-80 -96Q0 -72 80 -96L83 -76Q0 -52 -83 -76Z", accent, line=0.8)
        sheet.path("M-152 -76Q-80 -104 -80 -84Q0 -58 80 -84Q80 -104 152 -76Q90 -38 0 -42Q-90 -38 -152 -76Z", color)
        sheet.stroke("M-130 -74Q-70 -52 0 -54Q70 -52 130 -74", dark, 4, opacity=0.7)
        sheet.path("M-14 -84L14 -84L14 -58L-14 -58Z", "#f6cf5a", line=0.7, track=False)
    elif kind == "beret":
        sheet.path("M-92 -74C-136 -120 -60 -164 14 -156C92 -150 122 -110 94 -76Q0 -106 -92 -74Z", color)
        sheet.path("M-92 -74C-120 -100 -100 -128 -70 -140C-96 -112 -84 -92 -60 -84Z", dark, line=0, opacity=0.6, track=False)
        sheet.path("M-94 -80Q0 -114 96 -82L94 -66Q0 -98 -92 -64Z", dark, line=0.8)
        sheet.limb("M10 -154L14 -168", 7, color)
    elif kind.startswith("glasses"):
        _glasses(sheet, kind, color)
    elif kind == "eyepatch":
        sheet.stroke("M-96 -38L70 -4", color, 5)
        sheet.stroke("M70 42L98 60", color, 5)
        sheet.path("M12 0Q40 -14 72 0Q74 44 42 54Q12 46 12 0Z", color, track=False)
        sheet.stroke("M20 6Q40 -4 62 6", bright, 3, opacity=0.5)
    elif kind == "side_bow":
        for s in (-1, 1):
            sheet.path(
                f"M76 -70Q{76 + s * 26} -112 {76 + s * 52} -92Q{76 + s * 56} -62 {76 + s * 44} -44Q{76 + s * 22} -54 76 -66Z",
                color,
            )
            sheet.stroke(f"M{76 + s * 8} -70Q{76 + s * 24} -80 {76 + s * 38} -78", dark, 3, opacity=0.7)
        sheet.oval(76, -69, 10, 12, bright, line=0.8)
    elif kind == "clip_star":
        sheet.push(dx=-56, dy=-36, angle=12)
        sheet.path("M0 -22L6 -7L22 -6L10 4L14 20L0 11L-14 20L-10 4L-22 -6L-6 -7Z", color, line=0.8, track=False)
        sheet.oval(-3, -4, 4, 4, bright)
        sheet.pop()
    elif kind == "clip_bars":
        for y in (-46, -30):
            sheet.stroke(f"M-78 {y}L-42 {y - 9}", shadow(color, 1.2), 11)
            sheet.stroke(f"M-78 {y}L-42 {y - 9}", color, 7)
    elif kind == "hairband":
        sheet.path(
            "M-102 -30C-92 -110 -40 -128 0 -128C40 -128 92 -110 102 -30L88 -32C80 -92 40 -108 0 -108C-40 -108 -80 -92 -88 -32Z",
            color,
            line=0.8,
        )
        sheet.stroke("M-70 -88C-40 -118 0 -120 20 -118", bright, 4, opacity=0.7)
    elif kind == "flower":
        for i in range(5):
            sheet.push(dx=62, dy=-62, angle=72 * i)
            sheet.oval(0, -15, 11, 14, color, line=0.7)
            sheet.pop()
        sheet.oval(62, -62, 9, 9, "#f8d45c", line=0.6)


def _horns(sheet: Sheet, kind: str, color: str) -> None:
    dark = shadow(color, 0.7)
    for s in (-1, 1):
        if kind == "horns_oni":
            sheet.path(
                f"M{s * 24} -104Q{s * 34} -150 {s * 44} -172Q{s * 60} -140 {s * 60} -96Q{s * 40} -88 {s * 24} -104Z", color
            )
            sheet.stroke(f"M{s * 32} -122Q{s * 44} -114 {s * 56} -120", dark, 3)
        elif kind == "horns_dragon":
            sheet.path(
                f"M{s * 52} -96C{s * 80} -128 {s * 104} -150 {s * 146} -168C{s * 138} -124 {s * 116} -92 {s * 84} -70Z", color
            )
            sheet.stroke(f"M{s * 78} -106L{s * 96} -88M{s * 98} -126L{s * 112} -108", dark, 3)
        else:
            sheet.path(
                f"M{s * 60} -98C{s * 96} -146 {s * 160} -118 {s * 154} -64C{s * 150} -28 {s * 118} -20 {s * 106} -40"
                f"C{s * 132} -46 {s * 130} -86 {s * 108} -88C{s * 96} -86 {s * 92} -72 {s * 90} -58Z", color,
            )  # fmt: skip
            sheet.stroke(f"M{s * 92} -118L{s * 98} -92M{s * 122} -114L{s * 116} -88M{s * 146} -86L{s * 126} -78M{s * 148} -54L{s * 128} -58",
                         dark, 3)  # fmt: skip


def _ears(sheet: Sheet, kind: str, hair: str) -> None:
    for s in (-1, 1):
        tip = (88, -172) if kind == "cat_ears" else (82, -208)
        sheet.path(
            f"M{s * 30} -112Q{s * 54} -150 {s * tip[0]} {tip[1]}Q{s * 108} -120 {s * 98} -66Q{s * 62} -76 {s * 30} -112Z", hair
        )
        inner = "#ffb3b8" if kind == "cat_ears" else mix(hair, "#ffffff", 0.75)
        sheet.path(
            f"M{s * 50} -112Q{s * 64} -140 {s * (tip[0] - 4)} {tip[1] + 26}Q{s * 94} -116 {s * 88} -84Z",
            inner,
            line=0,
            track=False,
        )
        if kind == "fox_ears":
            sheet.path(
                f"M{s * 68} {tip[1] + 26}L{s * tip[0]} {tip[1]}L{s * 92} {tip[1] + 36}Z", shadow(hair, 1.3), line=0, track=False
            )


def _glasses(sheet: Sheet, kind: str, color: str) -> None:
    for s in (-1, 1):
        if kind == "glasses_round":
            d = f"M{s * 10} 28C{s * 10} -14 {s * 74} -14 {s * 74} 28C{s * 74} 66 {s * 10} 66 {s * 10} 28Z"
        else:
            d = f"M{s * 9} 8Q{s * 42} 0 {s * 76} 6Q{s * 76} 44 {s * 64} 52Q{s * 36} 58 {s * 16} 50Q{s * 8} 38 {s * 9} 8Z"
        sheet.parts.append(f'<path d="{d}" fill="#ffffff" fill-opacity="0.16"/>')
        sheet.stroke(d, color, 4.6)
        sheet.stroke(f"M{s * 75} 20L{s * 92} 14", color, 4)
    sheet.stroke("M-10 24Q0 17 10 24", color, 4)
