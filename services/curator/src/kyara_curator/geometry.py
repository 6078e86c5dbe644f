"""Boxes: padding, clipping, and moving them into the px of a crop."""

from collections.abc import Iterable

from kyara_artifacts import Box

Corners = tuple[int, int, int, int]

# A detector's boxes hug the figure; hair tips and shoes are often just outside.
PADDING = 0.02
# A box lies in a crop when its centre does and at least this share of its area.
INSIDE_SHARE = 0.5
# A head's square is its longer side times this (recipe v1.4).
HEAD_SCALE = 1.5


def padded(box: Box, width: int, height: int) -> Corners:
    """The box with a little room on each side, in whole px, clipped to a picture of `width` x `height`."""
    room_x, room_y = PADDING * (box.x1 - box.x0), PADDING * (box.y1 - box.y0)
    return _clipped(box.x0 - room_x, box.y0 - room_y, box.x1 + room_x, box.y1 + room_y, width, height)


def head_square(box: Box, width: int, height: int) -> Corners:
    """The square around a head, 1.5 times its longer side, clipped to the picture."""
    half = HEAD_SCALE * max(box.x1 - box.x0, box.y1 - box.y0) / 2
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    return _clipped(x - half, y - half, x + half, y + half, width, height)


def boxes_inside(boxes: Iterable[Box], crop: Corners) -> tuple[Box, ...]:
    """The boxes that lie in `crop`, in px of the crop and clipped to it."""
    return tuple(_moved(box, crop) for box in boxes if _is_inside(box, crop))


def shortest_side(corners: Corners) -> int:
    """Shorter side in px."""
    return min(corners[2] - corners[0], corners[3] - corners[1])


def best_of(boxes: Iterable[Box], kind: str) -> Box | None:
    """The first of the boxes of `kind` with the best score."""
    return max((box for box in boxes if box.kind == kind), key=lambda box: box.score, default=None)


def _clipped(x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> Corners:
    return max(0, round(x0)), max(0, round(y0)), min(width, round(x1)), min(height, round(y1))


def _is_inside(box: Box, crop: Corners) -> bool:
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    if not (crop[0] <= x <= crop[2] and crop[1] <= y <= crop[3]):
        return False
    shared_x = min(box.x1, crop[2]) - max(box.x0, crop[0])
    shared_y = min(box.y1, crop[3]) - max(box.y0, crop[1])
    return shared_x * shared_y >= INSIDE_SHARE * (box.x1 - box.x0) * (box.y1 - box.y0)


def _moved(box: Box, crop: Corners) -> Box:
    width, height = crop[2] - crop[0], crop[3] - crop[1]
    return box.model_copy(
        update={
            "x0": max(0.0, box.x0 - crop[0]),
            "y0": max(0.0, box.y0 - crop[1]),
            "x1": min(float(width), box.x1 - crop[0]),
            "y1": min(float(height), box.y1 - crop[1]),
        }
    )
