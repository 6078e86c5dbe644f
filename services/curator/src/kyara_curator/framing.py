"""What a frame's boxes say of a person in it: whether the head is hidden, and whether it is cut off."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from kyara_artifacts import Box, Image, covered

# A box this near to the frame's edge, as a share of the frame's height, runs beyond it.
_EDGE = 0.012
# Height of the head above the face, in faces, at least: hair and brow.
_ABOVE_FACE = 0.4
# Boxes of one kind of which one lies in another by this share show one thing.
_ONE_THING = 0.5
_IN_BOX = 0.7
# A whole face is seen surely, or its eyes are shut; it is no narrower than high, and hair is above it. What hides a part
# of a head costs some of these.
_NARROWNESS = 1.5
_HIDDEN = (0.65, 0.04)


@dataclass(frozen=True)
class Framing:
    """How a person is framed, 0 well .. 1 badly."""

    occlusion: float
    """Share of the head, or of the upper half, behind somebody nearer, or how surely something hides the face."""
    cut_off: float
    """How much of the head is beyond the frame."""


def framing_of(person: Box, frame: Image) -> Framing:
    """The framing of one of the frame's persons."""
    head = _head_in(person, frame.boxes)
    nearer = [other for other in frame.boxes if other.kind == "person" and other != person and _is_nearer(other, person, frame)]
    upper = Box(kind="upper", x0=person.x0, y0=person.y0, x1=person.x1, y1=(person.y0 + person.y1) / 2, score=1)
    behind = [max(_covered(head or upper, other), _covered(upper, other)) for other in nearer]
    face = _face_in(head, frame.boxes) if head else None
    return Framing(
        occlusion=max([*behind, _hidden(head, face) if head and face else 0.0]),
        cut_off=_cut_off(head, face, frame) if head else 0.0,
    )


def apart(boxes: Sequence[Box]) -> int:
    """How many different things boxes of one kind show: two that overlap much are two tries at one."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda each: -each.score):
        if all(max(_covered(box, other), _covered(other, box)) < _ONE_THING for other in kept):
            kept.append(box)
    return len(kept)


def _is_nearer(one: Box, other: Box, frame: Image) -> bool:
    """Whether `one` stands before `other`: the larger head does, and without heads the box that reaches lower."""
    heads = _head_in(one, frame.boxes), _head_in(other, frame.boxes)
    if heads[0] and heads[1]:
        return heads[0].x1 - heads[0].x0 > heads[1].x1 - heads[1].x0
    return one.y1 > other.y1


def _head_in(person: Box, boxes: Sequence[Box]) -> Box | None:
    """The highest head that lies in a person's box."""
    inside = [box for box in boxes if box.kind == "head" and _covered(box, person) >= _IN_BOX]
    return min(inside, key=lambda box: box.y0, default=None)


def _face_in(head: Box, boxes: Sequence[Box]) -> Box | None:
    """The largest face that lies in a head's box."""
    inside = [box for box in boxes if box.kind == "face" and _covered(box, head) >= _IN_BOX]
    return max(inside, key=lambda box: (box.x1 - box.x0) * (box.y1 - box.y0), default=None)


def _covered(box: Box, by: Box) -> float:
    return covered(box.corners, by.corners)


def _narrowness(face: Box) -> float:
    """About which share of a face's width is missing: none is narrower than high."""
    return max(0.0, 1 - (face.x1 - face.x0) / max(1.0, face.y1 - face.y0))


def _bare_above(head: Box, face: Box) -> float:
    """About which share of what is above a face is missing."""
    return max(0.0, 1 - (face.y0 - head.y0) / max(1.0, _ABOVE_FACE * (face.y1 - face.y0)))


def _hidden(head: Box, face: Box) -> float:
    """How surely something hides a part of a head."""
    middle, width = _HIDDEN
    found = 1 - face.score + _NARROWNESS * _narrowness(face) + _bare_above(head, face)
    return 1 / (1 + exp((middle - found) / width))


def _cut_off(head: Box, face: Box | None, frame: Image) -> float:
    """About how much of a head at the frame's edge is missing, from where its face lies in it and from the face's own form:
    0 nothing .. 1 half and more.

    A head without a face that runs into the edge is taken for cut.
    """
    edge = _EDGE * frame.height
    at = {"left": head.x0 <= edge, "top": head.y0 <= edge, "right": frame.width - head.x1 <= edge}
    if not any(at.values()):
        return 0.0
    if face is None:
        return 1.0
    middle = (face.x0 + face.x1) / 2
    missing = {
        "left": 1 - (middle - head.x0) / max(1.0, head.x1 - middle),
        "right": 1 - (head.x1 - middle) / max(1.0, middle - head.x0),
        "top": _bare_above(head, face),
    }
    clipped = _narrowness(face) if face.x0 <= edge or frame.width - face.x1 <= edge else 0.0
    return min(1.0, 2 * max(clipped, *(missing[side] for side, touched in at.items() if touched)))
