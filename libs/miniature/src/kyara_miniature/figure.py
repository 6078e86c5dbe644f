"""A whole figure: character, outfit, expression and pose, drawn by a hand as one group of SVG."""

from dataclasses import dataclass, replace

import numpy as np

from kyara_miniature import accessories
from kyara_miniature.cast import Character
from kyara_miniature.clothes import FOOT, POSES, Body
from kyara_miniature.colour import shadow
from kyara_miniature.face import EXPRESSIONS, Face
from kyara_miniature.hair import Hair
from kyara_miniature.hand import Hand
from kyara_miniature.sheet import Points, Sheet
from kyara_miniature.tags import OUTFIT_TAGS, POSE_TAGS

FRAMINGS = ("portrait", "upper_body", "cowboy_shot", "full_body")
NECK = 84
"""Where the body joins, in head coordinates."""
_LOW_HANDS = {"hand_on_hip", "arms_behind_back", "own_hands_together"}
_HIDDEN = {
    # A portrait ends at the neck; of all clothes a maid's headdress is in it.
    "portrait": {*OUTFIT_TAGS, *POSE_TAGS} - {"maid"},
    "upper_body": {"pleated_skirt", *_LOW_HANDS},
}
"""Words for what a framing leaves outside the picture."""


@dataclass(frozen=True)
class View:
    """How a character is shown once: clothes, mood, stance and frame. Angles are degrees."""

    outfit: int
    expression: str
    pose: str
    framing: str
    mirrored: bool = False
    tilt: float = 0.0
    """Tilt of the head."""
    lean: float = 0.0
    """Tilt of the whole figure."""
    turn: float = 0.0
    """-1..1: how far the face turns to a side."""
    gaze: tuple[float, float] = (0.0, 0.0)
    sway: float = 0.0
    """How far loose hair is blown aside, in figure units."""
    step: float = 0.0
    """Weight shifted between the feet, in figure units."""
    reach: float = 0.0
    """Hands raised by this much, in figure units."""


def random_view(rng: np.random.Generator, character: Character, framing: str | None = None) -> View:
    """A view of `character`: any outfit, expression and pose; `framing` fixed or one of `FRAMINGS`."""
    expressions, poses = tuple(EXPRESSIONS), tuple(POSES)
    return View(
        outfit=int(rng.integers(len(character.outfits))),
        expression=expressions[int(rng.integers(len(expressions)))] if rng.random() < 0.8 else "smile",
        pose=poses[int(rng.integers(len(poses)))] if rng.random() < 0.75 else "standing",
        framing=framing or FRAMINGS[int(rng.integers(len(FRAMINGS)))],
        mirrored=bool(rng.random() < 0.5),
        tilt=float(np.clip(rng.normal(0, 4), -10, 10)),
        lean=float(np.clip(rng.normal(0, 2), -6, 6)),
        turn=float(np.clip(rng.normal(0, 0.55), -1, 1)),
        gaze=(float(rng.uniform(-1, 1)), float(rng.uniform(-0.6, 0.6))),
        sway=float(rng.normal(0, 9)),
        step=float(rng.normal(0, 5)),
        reach=float(rng.uniform(0, 8)),
    )


def stilled(view: View) -> View:
    """`view` without the small random leanings: a model sheet's pose."""
    return replace(view, tilt=0.0, lean=0.0, turn=0.0, gaze=(0.0, 0.0), sway=0.0, step=0.0, reach=0.0)


@dataclass(frozen=True)
class Figure:
    """A drawn figure in figure space: the head's middle is (0, 0), y points down, a head is about 200 high."""

    svg: str
    defs: str
    person: Points
    """Points on the silhouette."""
    head: Points
    face: Points
    hips: float
    """Height of the hips."""
    identity: str
    outfit: str
    tags: tuple[str, ...]
    """Traits, outfit, expression and pose; not the framing."""


def draw_figure(character: Character, view: View, hand: Hand, key: str) -> Figure:
    """Draw `character` as `view` says; `key` must differ between figures of one picture."""
    sheet = Sheet(hand, key)
    outfit = character.outfits[view.outfit % len(character.outfits)]
    scale = hand.body * (1 + (character.build - 1) * 0.8)
    body_hand = replace(hand, line=hand.line / scale, wobble=hand.wobble / scale)
    hair = Hair(sheet, character, view.sway, view.turn)
    face = Face(sheet, character, view.expression, view.turn, view.gaze)
    body = Body(sheet, character, outfit, view.pose, view.step, view.reach)

    def on_body() -> None:
        sheet.hand = body_hand
        sheet.push(dy=NECK, sx=scale * character.width, sy=scale)

    def off_body() -> None:
        sheet.hand = hand
        sheet.pop()

    def on_head() -> None:
        # The head turns about the neck.
        rad = np.radians(view.tilt)
        sheet.push(dx=float(NECK * np.sin(rad)), dy=float(NECK - NECK * np.cos(rad)), angle=view.tilt)

    sheet.push(angle=view.lean)
    on_head()
    for kind, color in character.accessories:
        accessories.draw_behind(sheet, kind, color, character.hair_color)
    hair.back()
    sheet.pop()
    on_body()
    body.behind()
    body.legs()
    body.neck()
    body.torso()
    off_body()
    on_head()
    hair.over_shoulders()
    sheet.pop()
    on_body()
    if view.pose not in ("arms_up", "waving"):
        body.arms()
    off_body()
    on_head()
    face_points = face.base(hair.fringe_path())
    face.features()
    first = len(sheet.outline)
    hair.front()
    if outfit.kind == "maid" and not any(k in ("witch_hat", "beret") for k, _ in character.accessories):
        _headdress(sheet)
    for kind, color in character.accessories:
        accessories.draw_before(sheet, kind, color, character.hair_color, outfit.accent)
    head_points = sheet.outline[first:] + face_points + _above_chin(sheet, first)
    sheet.pop()
    if view.pose in ("arms_up", "waving"):
        on_body()
        body.arms()
        off_body()
    sheet.pop()
    return Figure(
        svg="".join(sheet.parts), defs="".join(sheet.defs), person=sheet.outline, head=head_points, face=face_points,
        hips=NECK + 148 * scale, identity=character.identity, outfit=outfit.name,
        tags=_tags(character, outfit.tags, view),
    )  # fmt: skip


def _headdress(sheet: Sheet) -> None:
    d = "M-92 -62"
    for i in range(9):
        x = -92 + 184 * (i + 1) / 9
        mid = x - 184 / 18
        d += f"Q{mid * 1.12:.1f} {-158 + (mid / 92) ** 2 * 70:.1f} {x:.1f} {-128 + (x / 92) ** 2 * 66:.1f}"
    sheet.path(d + "Q66 -104 0 -108Q-66 -104 -92 -62Z", "#fbfaf8")
    sheet.stroke("M-80 -72Q-40 -112 0 -114Q40 -112 80 -72", shadow("#fbfaf8", 0.5), 3)


def _above_chin(sheet: Sheet, end: int) -> Points:
    """What lies behind the face and belongs to the head: silhouette points near the skull, not below the chin."""
    inverse = _inverse(sheet)
    kept: Points = []
    for point in sheet.outline[:end]:
        x, y = inverse(point)
        if y < 40 and abs(x) < 132 and (y < -40 or abs(x) < 118):
            kept.append(point)
    return kept


def _inverse(sheet: Sheet):
    (ox, oy), (ux, uy), (vx, vy) = sheet.place([(0, 0), (1, 0), (0, 1)])
    matrix = np.linalg.inv(np.array([[ux - ox, vx - ox], [uy - oy, vy - oy]]))

    def back(point: tuple[float, float]) -> tuple[float, float]:
        x, y = matrix @ np.array([point[0] - ox, point[1] - oy])
        return float(x), float(y)

    return back


def _tags(character: Character, outfit: tuple[str, ...], view: View) -> tuple[str, ...]:
    tags = ["1boy" if character.boy else "1girl", *character.tags, *outfit, *EXPRESSIONS[view.expression]]
    if view.pose != "standing":
        tags.append(view.pose)
    return tuple(dict.fromkeys(tags))


def visible_tags(tags: tuple[str, ...], framing: str) -> tuple[str, ...]:
    """`tags` without those that `framing` leaves outside the picture."""
    hidden = _HIDDEN.get(framing, set())
    return tuple(tag for tag in tags if tag not in hidden)


def figure_foot(hand: Hand, character: Character) -> float:
    """Height of the soles in figure space."""
    return NECK + (FOOT + 7) * hand.body * (1 + (character.build - 1) * 0.8)
