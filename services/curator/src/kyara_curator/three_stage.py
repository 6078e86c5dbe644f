"""3-stage crops: of one picture the person, the first half body, and the first head as a square.

Source: the v1.4 process. A small dataset grows with it, and a LoRA learns faces from crops that are mostly face.
"""

from collections.abc import Iterator, Sequence

from kyara_artifacts import Box, Image
from kyara_curator.geometry import Corners, best_of, boxes_inside, head_square, padded
from kyara_curator.names import safe_stem


def cuts_of(image: Image, boxes: Sequence[Box], kinds: Sequence[str]) -> Iterator[tuple[str, Corners]]:
    """What to cut from `image`: (crop's kind, corners in its px), the person first, then `kinds` in their order.

    A picture without a person, half body or head gives nothing. Without a box for the person, a close-up, it is the
    person as a whole.
    """
    whole = (0, 0, image.width, image.height)
    person = None if image.crop == "person" else best_of(boxes, "person")
    if image.crop != "person" and not boxes:
        return
    area = padded(person, image.width, image.height) if person else whole
    yield "person", area
    inside = boxes_inside(boxes, area)
    width, height = area[2] - area[0], area[3] - area[1]
    for kind in kinds:
        if box := best_of(inside, kind):
            cut = head_square(box, width, height) if kind == "head" else padded(box, width, height)
            yield kind, (cut[0] + area[0], cut[1] + area[1], cut[2] + area[0], cut[3] + area[1])


def described(image: Image, kind: str, cut: Corners, boxes: Sequence[Box], sha256: str, size: int) -> Image:
    """A cut of `image` as an entry of an image set; `boxes` are those of `image`."""
    stem = safe_stem(image.name)
    return Image(
        name=f"{stem}.png" if kind == "person" else f"{stem}_{kind}.png",
        sha256=sha256,
        size=size,
        width=cut[2] - cut[0],
        height=cut[3] - cut[1],
        source=image.source,
        time_s=image.time_s,
        shot=image.shot,
        sharpness=image.sharpness,
        boxes=boxes_inside((box for box in boxes if box.kind != kind), cut),
        crop=kind,
        parent=image.name,
        parent_box=(float(cut[0]), float(cut[1]), float(cut[2]), float(cut[3])),
        index=image.index,
    )
