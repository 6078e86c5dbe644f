"""Small figures: heads and faces found in frames shown at a half and a third of their size, at the first look and closer."""

from collections.abc import Iterator

import PIL.Image

from kyara_artifacts import Box, overlap, read_picture
from kyara_cli.demo.results import SAME_BOX_IOU
from kyara_detector.closer import look_closer
from kyara_inference import Inference, KindThreshold, detect
from kyara_miniature.scene import FigureTruth
from tests.accuracy.season import Rooms, Seen

EVERY = 8
"""One frame in so many is looked at."""
SIZES = {"half": 2, "third": 3}
GROUND = (150, 160, 170)


def small_figure_recall(rooms: Rooms, seen: Seen) -> dict[str, float]:
    """Share of the heads and faces whose box was found, by the size at which the frames were shown."""
    by_model: dict[str, list[KindThreshold]] = {}
    for each in rooms.recipe.detection.kinds:
        by_model.setdefault(each.model, []).append(KindThreshold(each.kind, each.confidence, each.iou))
    frames = [frame for frame in seen.figures if seen.truth.at(frame.time_s or 0.0)][::EVERY]
    whole = [read_picture(rooms.store.get(frame.digest)) for frame in frames]
    truth = [seen.truth.at(frame.time_s or 0.0) for frame in frames]
    recalls: dict[str, float] = {}
    with Inference(rooms.inference) as inference:
        for name, times in SIZES.items():
            pictures = [_shown_at(picture, times) for picture in whole]
            answers = [detect(inference, model, pictures, kinds) for model, kinds in by_model.items()]
            first = [[box for some in boxes for box in some] for boxes in zip(*answers, strict=True)]
            closer = look_closer(inference, by_model, pictures, first)
            for look, found in (("first_look", first), ("closer", closer)):
                hits = [hit for figures, boxes in zip(truth, found, strict=True) for hit in _hits(figures, boxes, times)]
                recalls[f"{name}_size_{look}"] = round(sum(hits) / max(1, len(hits)), 4)
    return recalls


def _shown_at(picture: PIL.Image.Image, times: int) -> PIL.Image.Image:
    """The picture, so many times smaller, in the corner of a plain one of its size."""
    shown = PIL.Image.new("RGB", picture.size, GROUND)
    shown.paste(picture.resize((picture.width // times, picture.height // times), PIL.Image.Resampling.LANCZOS))
    return shown


def _hits(figures: list[FigureTruth], boxes: list[Box], times: int) -> Iterator[bool]:
    for figure in figures:
        for part in figure.boxes:
            if part.kind in ("head", "face"):
                wanted = (part.x0 / times, part.y0 / times, part.x1 / times, part.y1 / times)
                same = (box for box in boxes if box.kind == part.kind)
                yield any(overlap(wanted, box.corners) >= SAME_BOX_IOU for box in same)
