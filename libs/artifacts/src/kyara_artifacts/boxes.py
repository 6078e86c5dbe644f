"""How two boxes lie to each other, whatever they bound."""

Corners = tuple[float, float, float, float]
"""Left, top, right, bottom, in px."""


def overlap(one: Corners, other: Corners) -> float:
    """Intersection over union, 0..1; 0 for boxes without area."""
    shared = _shared(one, other)
    either = _area(one) + _area(other) - shared
    return shared / either if either > 0 else 0.0


def covered(one: Corners, by: Corners) -> float:
    """Share of `one` that lies in `by`, 0..1; 0 for a box without area."""
    area = _area(one)
    return _shared(one, by) / area if area > 0 else 0.0


def _shared(one: Corners, other: Corners) -> float:
    return max(0.0, min(one[2], other[2]) - max(one[0], other[0])) * max(0.0, min(one[3], other[3]) - max(one[1], other[1]))


def _area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
