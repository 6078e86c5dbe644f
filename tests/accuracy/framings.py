"""Heads cut off by the frame and heads behind somebody, in scenes drawn for it: does the framing of a crop tell?

An episode has only a few of either, and a box that ends at the border may lack nothing but the tips of long hair. Here the
share that is missing is known: of the head by its place, of what is hidden by the px that change when the figure in front goes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from sklearn.metrics import roc_auc_score

from kyara_artifacts import Box as FoundBox
from kyara_artifacts import Image, ImageSet, put_picture
from kyara_cli.demo.results import SAME_BOX_IOU, overlap
from kyara_curator.framing import apart, framing_of
from kyara_curator.geometry import boxes_inside, padded
from kyara_detector import stage as detector
from kyara_detector.settings import DetectorSettings
from kyara_jobs import params
from kyara_miniature.backdrop import draw_backdrop
from kyara_miniature.cast import make_character
from kyara_miniature.figure import draw_figure, random_view
from kyara_miniature.hand import HOUSE
from kyara_miniature.scene import Box, FigureTruth, Placed, render
from tests.accuracy.season import Rooms

WIDTH, HEIGHT = 960, 540
FIRST_CHARACTER = 1_800_000
KINDS = ("whole", "cut_off", "occlusion")
EACH = 40
"""Scenes of each kind in a run."""
CUT, HIDDEN = (0.25, 0.6), (0.35, 0.7)
"""Shares of the head that are beyond the frame, or behind somebody."""
Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Scene:
    """Two figures, of whom one is judged."""

    image: np.ndarray
    person: Box
    other: Box | None
    kind: str


def framing_aucs(rooms: Rooms, seed: int) -> dict[str, float]:
    """AUC of the framing's flaws: how surely a head that lacks something is told from one that does not.

    `hidden_heads_kept` is the share of all the hidden ones of which a crop gets past both the boxes and the quality.
    """
    scenes = [scene for kind in KINDS for scene in islice(_scenes(kind, seed), EACH)]
    kept = [put_picture(rooms.store, scene.image)[0] for scene in scenes]
    entry = Image(name="", sha256="", size=0, width=WIDTH, height=HEIGHT)
    images = [
        entry.model_copy(update={"name": f"{number}.png", "sha256": digest.sha256, "size": digest.size_bytes})
        for number, digest in enumerate(kept)
    ]
    given = ImageSet(images=tuple(images)).save(rooms.store)
    found = rooms.run(detector.OPERATIONS[0], DetectorSettings, params.detect(rooms.recipe), images=given)["images"]
    scores: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for scene, frame in zip(scenes, ImageSet.load(rooms.store, found), strict=True):
        scores[scene.kind] += _soundness(scene, frame)
    kept_hidden = sum(score >= rooms.recipe.cleaning.min_quality for score in scores["occlusion"]) / EACH
    aucs = {f"auc_{kind}": _auc(scores["whole"], scores[kind]) for kind in ("cut_off", "occlusion")}
    return {**aucs, "hidden_heads_kept": round(kept_hidden, 4)}


def _soundness(scene: Scene, frame: Image) -> Iterator[float]:
    """What the flaws of the judged figure's framing leave; nothing when cleaning takes no crop of it for its boxes' sake."""
    persons = [box for box in frame.boxes if box.kind == "person"]
    best = max(persons, key=lambda box: _overlap(scene.person, box), default=None)
    if best is None or _overlap(scene.person, best) < max(SAME_BOX_IOU, _overlap(scene.other, best)):
        return
    inside = boxes_inside([box for box in frame.boxes if box.kind != "person"], padded(best, frame.width, frame.height))
    if all(apart([box for box in inside if box.kind == kind]) == 1 for kind in ("face", "head")):
        framing = framing_of(best, frame)
        yield 1 - max(framing.cut_off, framing.occlusion)


def _overlap(truth: Box | None, found: FoundBox) -> float:
    return overlap((truth.x0, truth.y0, truth.x1, truth.y1), (found.x0, found.y0, found.x1, found.y1)) if truth else 0.0


def _scenes(kind: str, seed: int) -> Iterator[Scene]:
    number = 0
    while True:
        rng = np.random.default_rng([90_030, seed, KINDS.index(kind), number])
        number += 1
        if scene := _drawn(kind, seed * 1000 + number, rng):
            yield scene


def _drawn(kind: str, character: int, rng: np.random.Generator) -> Scene | None:
    """A scene of that kind, when the dice give one."""
    scale = float(rng.uniform(0.5, 1.4))
    judged = _placed(character, "judged", scale, rng)
    left, top, right, bottom = judged.box("head")
    if kind == "cut_off":
        share, side = rng.uniform(*CUT), rng.choice(["left", "right", "top"])
        move_x = {"left": -left - share * (right - left), "right": WIDTH - right + share * (right - left)}.get(side)
        move_y = -top - share * (bottom - top) if side == "top" else rng.uniform(0.05, 0.4) * HEIGHT - top
        judged = judged.moved(move_x if move_x is not None else rng.uniform(0.2, 0.8) * WIDTH - (left + right) / 2, move_y)
    else:
        margin = 0.05 * (right - left)
        room_x, room_y = WIDTH - (right - left) - 2 * margin, 0.5 * HEIGHT
        judged = judged.moved(margin + rng.uniform(0, max(1, room_x)) - left, margin + rng.uniform(0, room_y) - top)
    other = _placed(character + 500, "other", scale * float(rng.uniform(1.0, 1.5)), rng)
    head, front = judged.box("head"), other.box("head")
    reach = (head[2] - head[0] + front[2] - front[0]) / 2
    away = rng.uniform(0.3, 1.0) * reach if kind == "occlusion" else rng.uniform(1.1, 2.5) * reach
    x = (head[0] + head[2]) / 2 + rng.choice([-1, 1]) * away - (front[0] + front[2]) / 2
    other = other.moved(float(x), head[1] + rng.uniform(-0.2, 0.6) * (head[3] - head[1]) - front[1])
    backdrop = draw_backdrop(rng, WIDTH, HEIGHT, HOUSE)
    both, alone = (
        render(backdrop.defs, backdrop.svg, [each.placed for each in some], WIDTH, HEIGHT) for some in ([judged, other], [judged])
    )
    hidden = _changed(both, alone, head)
    if not (HIDDEN[0] <= hidden <= HIDDEN[1] if kind == "occlusion" else hidden < 0.03):
        return None
    person, beside = (_person(each.placed.truth(WIDTH, HEIGHT)) for each in (judged, other))
    return Scene(both, person, beside, kind) if person else None


def _person(truth: FigureTruth | None) -> Box | None:
    return next((box for box in truth.boxes if box.kind == "person"), None) if truth else None


@dataclass(frozen=True)
class _Figure:
    placed: Placed

    def box(self, kind: str) -> Corners:
        """Of the whole figure, also beyond the picture."""
        points = getattr(self.placed.figure, kind)
        xs = [self.placed.x + self.placed.scale * x for x, _ in points]
        ys = [self.placed.y + self.placed.scale * y for _, y in points]
        return min(xs), min(ys), max(xs), max(ys)

    def moved(self, x: float, y: float) -> "_Figure":
        return _Figure(Placed(self.placed.figure, self.placed.scale, self.placed.x + x, self.placed.y + y))


def _placed(number: int, name: str, scale: float, rng: np.random.Generator) -> _Figure:
    character = make_character(FIRST_CHARACTER + number)
    figure = draw_figure(character, random_view(rng, character, "full_body"), HOUSE, name)
    return _Figure(Placed(figure, scale, 0.0, 0.0))


def _changed(one: np.ndarray, other: np.ndarray, head: Corners) -> float:
    """Share of the px of a head that differ."""
    x0, y0, x1, y1 = (int(max(0, value)) for value in head)
    differ = (one[y0:y1, x0:x1] != other[y0:y1, x0:x1]).any(axis=2)
    return float(differ.mean()) if differ.size else 0.0


def _auc(good: list[float], bad: list[float]) -> float:
    return round(float(roc_auc_score([1] * len(good) + [0] * len(bad), [*good, *bad])), 4)
