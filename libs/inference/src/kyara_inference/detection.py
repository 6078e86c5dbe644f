"""Boxes from a YOLO detector, the same as dghs-imgutils 0.19 draws with the same file.

Every picture is resized to the model's own size without keeping its aspect, as imgutils does unless asked otherwise;
all of a call therefore share requests. A file with several classes answers for each as a file with that class alone
would: imgutils compares boxes for overlap whatever their class, and a head always overlaps the person it belongs to.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image

from kyara_artifacts import Box
from kyara_inference.catalogue import DetectorEntry, catalogue
from kyara_inference.client import Inference

_SCALED = (np.arange(256) / 255.0).astype(np.float32)
"""What each level is to the model; looked up, for there are only so many."""


@dataclass(frozen=True)
class KindThreshold:
    """What to look for and what counts."""

    kind: str
    """A class of the model: person, halfbody, head, face or eye."""
    confidence: float
    """A box counts when its score is above this."""
    iou: float
    """Of two boxes that overlap more than this (intersection over union), the weaker goes."""


def detect(
    inference: Inference, model: str, images: Sequence[PIL.Image.Image], kinds: Sequence[KindThreshold]
) -> list[list[Box]]:
    """Boxes of the wanted kinds in each image, in whole px of it: by kind in the order given, best score first.

    `images` are RGB. Raises UnknownModel (no such detector), ValueError (a kind that it has no class for) and
    InferenceError.
    """
    entry = catalogue().detector(model)
    for wanted in kinds:
        if wanted.kind not in entry.classes:
            raise ValueError(f"detector {model} knows {', '.join(entry.classes)}, not {wanted.kind!r}")
    width, height = entry.imgsz
    stacks = inference.stacks(model, images, lambda image: _encode(image, entry), 3 * width * height * 4)
    answers = inference.infer_each(model, ({"images": stack} for stack in stacks), "output0")
    outputs = (output for answer in answers for output in answer)
    return [
        [box for wanted in kinds for box in _boxes(output, wanted, entry, image.size)]
        for image, output in zip(images, outputs, strict=True)
    ]


def _encode(image: PIL.Image.Image, entry: DetectorEntry) -> np.ndarray:
    """[3, h, w] float32, 0..1; Pillow's default filter (bicubic), as in the reference."""
    resized = np.asarray(image.convert("RGB").resize(entry.imgsz))
    return _SCALED[resized.transpose(2, 0, 1)]


def _boxes(output: np.ndarray, wanted: KindThreshold, entry: DetectorEntry, size: tuple[int, int]) -> list[Box]:
    """Boxes of one kind from `output` [4 + classes, n]."""
    scores = output[4 + entry.classes.index(wanted.kind)]
    above = scores > wanted.confidence
    scores, (x, y, w, h) = scores[above], output[:4, above]
    corners = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)
    scale = np.array([size[0] / entry.imgsz[0], size[1] / entry.imgsz[1]] * 2, dtype=np.float32)
    limit = np.array([*size, *size], dtype=np.float32)
    boxes = []
    for place in _strongest(corners, scores, wanted.iou):
        x0, y0, x1, y1 = (float(value) for value in (corners[place] * scale).clip(0, limit).round())
        boxes.append(Box(kind=wanted.kind, x0=x0, y0=y0, x1=x1, y1=y1, score=float(scores[place])))
    return boxes


def _strongest(corners: np.ndarray, scores: np.ndarray, iou: float) -> list[int]:
    """Greedy non-maximum suppression over [n, 4] corners; sides count both end pixels, as in the reference."""
    x0, y0, x1, y1 = corners.T
    areas = (x1 - x0 + 1) * (y1 - y0 + 1)
    order = scores.argsort()[::-1]
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        w = np.maximum(0.0, np.minimum(x1[best], x1[rest]) - np.maximum(x0[best], x0[rest]) + 1)
        h = np.maximum(0.0, np.minimum(y1[best], y1[rest]) - np.maximum(y0[best], y0[rest]) + 1)
        shared = w * h
        order = rest[shared / (areas[best] + areas[rest] - shared) <= iou]
    return kept
