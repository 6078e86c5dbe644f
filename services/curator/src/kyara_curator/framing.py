"""What a frame's boxes say of a person in it: whether somebody stands before them, and whether the head is cut off."""

from collections.abc import Sequence
from dataclasses import dataclass

from kyara_artifacts import Box, Image

# A box this near to the frame's edge, as a share of the frame's height, runs beyond it.
_EDGE = 0.012
# Height of the head above the face, in faces, at least: hair and brow.
_ABOVE_FACE = 0.4
# Boxes of one kind of which one lies in another by this share show one thing.
_ONE_THING = 0.5


@dataclass(frozen=True)
class Framing:
    """How a person is framed, 0 well .. 1 badly."""

    occlusion: float
    """Share of the head, or of the upper half, behind somebody nearer."""
    cut_off: float
    """How much of the head is beyond the frame."""


def framing_of(person: Box, frame: Image) -> Framing:
    """The framing of one of the frame's persons."""
    head = _head_in(person, frame.boxes)
    nearer = [other for other in frame.boxes if other.kind == "person" and other != person and _is_nearer(other, person, frame)]
    upper = Box(kind="upper", x0=person.x0, y0=person.y0, x1=person.x1, y1=(person.y0 + person.y1) / 2, score=1)
    covered = [max(_covered(head or upper, other), _covered(upper, other)) for other in nearer]
    return Framing(occlusion=max(covered, default=0.0), cut_off=_cut_off(head, frame) if head else 0.0)


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
    inside = [box for box in boxes if box.kind == "head" and _covered(box, person) >= 0.7]
    return min(inside, key=lambda box: box.y0, default=None)


def _covered(box: Box, by: Box) -> float:
    """Share of `box` that lies in `by`."""
    x, y = min(box.x1, by.x1) - max(box.x0, by.x0), min(box.y1, by.y1) - max(box.y0, by.y0)
    area = (box.x1 - box.x0) * (box.y1 - box.y0)
    return max(0.0, x) * max(0.0, y) / area if area > 0 else 0.0


def _cut_off(head: Box, frame: Image) -> float:
    """About how much of a head at the frame's edge is missing, from where its face lies in it: 0 nothing .. 1 half and more.

    A head without a face that runs into the edge is taken for cut.
    """
    edge = _EDGE * frame.height
    at = {"left": head.x0 <= edge, "top": head.y0 <= edge, "right": frame.width - head.x1 <= edge}
    if not any(at.values()):
        return 0.0
    face = max((box for box in frame.boxes if box.kind == "face" and _covered(box, head) >= 0.7), key=_area, default=None)
    if face is None:
        return 1.0
    middle, high = (face.x0 + face.x1) / 2, _ABOVE_FACE * (face.y1 - face.y0)
    missing = {
        "left": 1 - (middle - head.x0) / max(1.0, head.x1 - middle),
        "right": 1 - (head.x1 - middle) / max(1.0, middle - head.x0),
        "top": 1 - (face.y0 - head.y0) / high,
    }
    return min(1.0, max(0.0, 2 * max(missing[side] for side, touched in at.items() if touched)))


def _area(box: Box) -> float:
    return (box.x1 - box.x0) * (box.y1 - box.y0)
