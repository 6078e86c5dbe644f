"""A second look, closer: the head and face of a figure that is small in its picture.

A detector sees every picture at one size, so that a face of 40 px in a wide shot is a few px to it: it is missed, or its box is
off by as much as it is large. Such a figure is looked at again, alone in a square of the picture that the detector sees larger,
and what is found there stands in the place of what was found at first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import PIL.Image

from kyara_artifacts import Box, overlap
from kyara_inference import Inference, KindThreshold, detect

PARTS = frozenset({"halfbody", "head", "face"})
WANTED = frozenset({"head", "face"})
MUCH_LARGER, LARGER = 3.0, 1.5
"""How many times as large as at first a second look must show a figure: any, or one without a head or face."""
AROUND = 1.2
"""Side of the square, of the longer side of the person's box."""


@dataclass(frozen=True)
class Look:
    """A person to look at again."""

    picture: int
    """Its place among the pictures."""
    person: Box
    corners: tuple[int, int, int, int]
    """Of the square, in px of the picture."""


def look_closer(
    inference: Inference,
    asked: dict[str, list[KindThreshold]],
    pictures: Sequence[PIL.Image.Image],
    found: Sequence[list[Box]],
) -> list[list[Box]]:
    """The boxes `found` in each picture, with those of small figures as a closer look shows them.

    `asked` holds the kinds of each model.
    """
    kinds = frozenset(each.kind for some in asked.values() for each in some)
    looks = [look for place, boxes in enumerate(found) for look in _looks(place, pictures[place].size, boxes, WANTED & kinds)]
    squares = [pictures[look.picture].crop(look.corners) for look in looks]
    seen = [list(boxes) for boxes in found]
    for model, some in asked.items():
        parts = [each for each in some if each.kind in PARTS]
        if parts and looks:
            for look, boxes in zip(looks, detect(inference, model, squares, parts), strict=True):
                for part in parts:
                    _put_in_place(look, [box for box in boxes if box.kind == part.kind], part.iou, seen[look.picture])
    return seen


def _looks(place: int, size: tuple[int, int], boxes: Sequence[Box], wanted: frozenset[str]) -> Iterator[Look]:
    for person in (box for box in boxes if box.kind == "person"):
        corners = _square(person, size)
        larger = min(size[0] / (corners[2] - corners[0]), size[1] / (corners[3] - corners[1]))
        seen = {box.kind for box in boxes if _inside(box, person)}
        if wanted and larger >= (MUCH_LARGER if wanted <= seen else LARGER):
            yield Look(place, person, corners)


def _square(person: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Around the person, moved into the picture where it would reach out of it."""
    width, height = size
    side = min(round(AROUND * max(person.x1 - person.x0, person.y1 - person.y0)) + 1, width, height)
    left = min(max(0, round((person.x0 + person.x1 - side) / 2)), width - side)
    top = min(max(0, round((person.y0 + person.y1 - side) / 2)), height - side)
    return left, top, left + side, top + side


def _put_in_place(look: Look, closer: Sequence[Box], iou: float, seen: list[Box]) -> None:
    """Put boxes of one kind, as the closer look shows them, in the place of those that `seen` has of this person."""
    left, top, _, _ = look.corners
    for box in closer:
        moved = box.model_copy(update={"x0": box.x0 + left, "y0": box.y0 + top, "x1": box.x1 + left, "y1": box.y1 + top})
        if not _inside(moved, look.person):
            continue  # somebody else's, who stands in the square too
        same = [each for each in seen if each.kind == moved.kind and _same(each, moved, iou)]
        for each in same:
            seen.remove(each)
        seen.append(moved)


def _same(one: Box, other: Box, iou: float) -> bool:
    """Whether two boxes of a kind show one thing: they overlap, or one's middle lies in the other."""
    return _inside(one, other) or _inside(other, one) or overlap(one.corners, other.corners) > iou


def _inside(part: Box, person: Box) -> bool:
    """Whether a part's centre lies in a person's box."""
    x, y = (part.x0 + part.x1) / 2, (part.y0 + part.y1) / 2
    return person.x0 <= x <= person.x1 and person.y0 <= y <= person.y1
