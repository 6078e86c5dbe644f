"""Heads cut off by the frame, behind somebody or behind something, in scenes drawn for it: does the framing of a crop tell?

An episode has only a few of them, and a box that ends at the border may lack nothing but the tips of long hair. Here the
share that is missing is known: of the head by its place, of what is hidden by the px that change when what is in front goes.
A crop is of the figure whose face it has: of one that holds somebody in front, with the face behind not found, that is
the one in front, of whom nothing is hidden.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import PIL.Image
import PIL.ImageDraw
from sklearn.metrics import roc_auc_score

from kyara_artifacts import Box as FoundBox
from kyara_artifacts import Corners, Image, ImageSet, overlap, put_picture
from kyara_curator.framing import apart, framing_of
from kyara_curator.geometry import best_of, boxes_inside, padded
from kyara_detector import stage as detector
from kyara_detector.settings import DetectorSettings
from kyara_jobs import params
from kyara_miniature.backdrop import draw_backdrop
from kyara_miniature.cast import make_character
from kyara_miniature.figure import draw_figure, random_view
from kyara_miniature.hand import HOUSE
from kyara_miniature.scene import FigureTruth, Placed, render
from tests.accuracy.season import Rooms

WIDTH, HEIGHT = 960, 540
FIRST_CHARACTER = 1_800_000
KINDS = ("whole", "cut_off", "behind_somebody", "behind_something")
HIDING = KINDS[2:]
EACH = 40
"""Scenes of each kind in a run."""
CUT, HIDDEN = (0.25, 0.6), (0.35, 0.7)
"""Shares of the head that are beyond the frame, or hidden."""
SAME_FACE_IOU = 0.2
"""Of a face half hidden, with its box around what is seen of it."""


@dataclass(frozen=True)
class Scene:
    """Two figures, of whom one is judged."""

    image: np.ndarray
    face: Corners
    """The judged one's, as far as it lies in the picture."""
    other: Corners | None
    """Face of the other figure."""
    kind: str


def framing_aucs(rooms: Rooms, seed: int) -> dict[str, float]:
    """AUC of the framing's flaws: how surely a head that lacks something is told from one that does not.

    `hidden_heads_kept` is the share of all the hidden ones that get past both the boxes and the quality.
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
    hidden = [score for kind in HIDING for score in scores[kind]]
    kept_hidden = sum(score >= rooms.recipe.cleaning.min_quality for score in hidden) / (EACH * len(HIDING))
    return {
        "auc_cut_off": _auc(scores["whole"], scores["cut_off"]),
        "auc_occlusion": _auc(scores["whole"], hidden),
        "hidden_heads_kept": round(kept_hidden, 4),
    }


def _soundness(scene: Scene, frame: Image) -> Iterator[float]:
    """What the framing's flaws leave of the crop with the judged face; nothing when cleaning takes none for its boxes' sake."""
    others = [box for box in frame.boxes if box.kind != "person"]
    for person in (box for box in frame.boxes if box.kind == "person"):
        corners = padded(person, frame.width, frame.height)
        inside = boxes_inside(others, corners)
        if all(apart([box for box in inside if box.kind == kind]) == 1 for kind in ("face", "head")) and _has(
            scene, inside, corners
        ):
            framing = framing_of(person, frame)
            yield 1 - max(framing.cut_off, framing.occlusion)
            return


def _has(scene: Scene, inside: Sequence[FoundBox], corners: tuple[int, int, int, int]) -> bool:
    """Whether a crop's face is the judged one."""
    face = best_of(inside, "face")
    assert face
    left, top, _, _ = corners
    found = face.x0 + left, face.y0 + top, face.x1 + left, face.y1 + top
    judged = overlap(scene.face, found)
    return judged >= SAME_FACE_IOU and judged > (overlap(scene.other, found) if scene.other else 0.0)


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
    judged = (
        _cut(_placed(character, "judged", scale, rng), rng)
        if kind == "cut_off"
        else _inside(_placed(character, "judged", scale, rng), rng)
    )
    head = judged.box("head")
    other = _beside(
        judged, _placed(character + 500, "other", scale * float(rng.uniform(1.0, 1.5)), rng), kind == "behind_somebody", rng
    )
    backdrop = draw_backdrop(rng, WIDTH, HEIGHT, HOUSE)
    both, alone = (
        render(backdrop.defs, backdrop.svg, [each.placed for each in some], WIDTH, HEIGHT) for some in ([judged, other], [judged])
    )
    shown = _with_something_before(both, head, rng) if kind == "behind_something" else both
    hidden = _changed(shown, alone, head)
    if not (HIDDEN[0] <= hidden <= HIDDEN[1] if kind in HIDING else hidden < 0.03):
        return None
    mine, others = (_face(each.placed.truth(WIDTH, HEIGHT)) for each in (judged, other))
    return Scene(shown, mine, others, kind) if mine else None


def _cut(judged: "_Figure", rng: np.random.Generator) -> "_Figure":
    """Moved so far that a share of its head is beyond a side of the picture, or its top."""
    left, top, right, bottom = judged.box("head")
    share, side = rng.uniform(*CUT), rng.choice(["left", "right", "top"])
    if side == "top":
        return judged.moved(rng.uniform(0.2, 0.8) * WIDTH - (left + right) / 2, -top - share * (bottom - top))
    move_x = -left - share * (right - left) if side == "left" else WIDTH - right + share * (right - left)
    return judged.moved(move_x, rng.uniform(0.05, 0.4) * HEIGHT - top)


def _inside(judged: "_Figure", rng: np.random.Generator) -> "_Figure":
    """Moved so that its head is in the picture."""
    left, top, right, _ = judged.box("head")
    margin = 0.05 * (right - left)
    room_x, room_y = WIDTH - (right - left) - 2 * margin, 0.5 * HEIGHT
    return judged.moved(margin + rng.uniform(0, max(1, room_x)) - left, margin + rng.uniform(0, room_y) - top)


def _beside(judged: "_Figure", other: "_Figure", before: bool, rng: np.random.Generator) -> "_Figure":
    """The other figure, moved before the judged one's head or beside it."""
    head, front = judged.box("head"), other.box("head")
    reach = (head[2] - head[0] + front[2] - front[0]) / 2
    away = rng.uniform(0.3, 1.0) * reach if before else rng.uniform(1.1, 2.5) * reach
    x = (head[0] + head[2]) / 2 + rng.choice([-1, 1]) * away - (front[0] + front[2]) / 2
    return other.moved(float(x), head[1] + rng.uniform(-0.2, 0.6) * (head[3] - head[1]) - front[1])


def _with_something_before(image: np.ndarray, head: Corners, rng: np.random.Generator) -> np.ndarray:
    """A pillar, a bush or a beam of one colour before a head."""
    x0, y0, x1, y1 = head
    width, height, share = x1 - x0, y1 - y0, rng.uniform(*HIDDEN)
    colour = tuple(int(value) for value in rng.integers(30, 230, 3))
    picture = PIL.Image.fromarray(image)
    pencil = PIL.ImageDraw.Draw(picture)
    match rng.choice(["left", "right", "bush", "beam"]):
        case "left":
            pencil.rectangle((x0 - width / 2, 0, x0 + share * width, HEIGHT), fill=colour)
        case "right":
            pencil.rectangle((x1 - share * width, 0, x1 + width / 2, HEIGHT), fill=colour)
        case "bush":
            pencil.ellipse((x0 - width, y1 - share * height, x1 + width, y1 + 3 * height), fill=colour)
        case _:
            top, tilt = y0 + rng.uniform(0, 1 - share) * height, rng.uniform(-0.2, 0.2) * height
            low = top + share * height
            pencil.polygon(
                ((x0 - width, top - tilt), (x1 + width, top + tilt), (x1 + width, low + tilt), (x0 - width, low - tilt)),
                fill=colour,
            )
    return np.asarray(picture)


def _face(truth: FigureTruth | None) -> Corners | None:
    return next(((box.x0, box.y0, box.x1, box.y1) for box in truth.boxes if box.kind == "face"), None) if truth else None


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
