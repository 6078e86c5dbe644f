"""How good a detector file is: boxes found in scenes of characters that training never saw, through onnxruntime.

Pictures are prepared and boxes selected as dghs-imgutils does it (`imgutils.generic.yolo`), one class at a time: the
published detectors have one class each, and the classes here overlap by nature.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnxruntime
from PIL import Image

from kyara_miniature.cast import Character, make_character
from kyara_miniature.episode import make_episode
from kyara_miniature.figure import random_view
from kyara_miniature.hand import HOUSE, random_hand
from kyara_miniature.pictures import SIZES
from kyara_miniature.scene import Picture, draw_portrait, draw_scene

CLASSES = ("person", "halfbody", "head", "face")
CONFIDENCE = (0.3, 0.5, 0.4, 0.25)
"""The published detectors' confidence cut for each class."""
NMS_OVERLAP = (0.5, 0.7, 0.7, 0.7)
SMALLEST = 6.0
"""Boxes with a shorter side below this, in px of the detector's input, are neither asked for nor counted as wrong."""
MOST = 300
"""The best boxes of a class in a picture that are looked at, so that a bad file is not slow to measure."""
UNSEEN = 5_000_000
"""Seeds of scenes and characters from here on are measured; training uses none of them."""
CAST = 100


@dataclass(frozen=True)
class Found:
    """Boxes of one class in one picture, best first: corners [n, 4] in px of the picture, scores [n]."""

    boxes: np.ndarray
    scores: np.ndarray


class DetectorFile:
    """An ONNX detector of the YOLO contract and the input size that its metadata asks for."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.size: tuple[int, int] = tuple(json.loads(self.session.get_modelmeta().custom_metadata_map["imgsz"]))

    def find(self, image: np.ndarray, floor: float = 0.01) -> list[Found]:
        """What is found in `image` [h, w, 3] RGB, one `Found` a class, down to a confidence of `floor`."""
        height, width = image.shape[:2]
        resized = Image.fromarray(image).resize(self.size)
        data = np.asarray(resized, dtype=np.float32).transpose(2, 0, 1)[None] / 255
        output = np.asarray(self.session.run(["output0"], {"images": data})[0])[0]
        scale = np.array([width / self.size[0], height / self.size[1]] * 2)
        return [self._one_class(output[:4], output[4 + kind], scale, floor, kind) for kind in range(len(CLASSES))]

    def _one_class(self, raw: np.ndarray, scores: np.ndarray, scale: np.ndarray, floor: float, kind: int) -> Found:
        likely = np.flatnonzero(scores > floor)
        likely = likely[scores[likely].argsort(kind="stable")[::-1][:MOST]]
        centre, half = raw[:2, likely].T, raw[2:, likely].T / 2
        boxes, scores = np.concatenate([centre - half, centre + half], axis=1), scores[likely]
        kept = suppress(boxes, scores, NMS_OVERLAP[kind])
        return Found(boxes[kept] * scale, scores[kept])


def suppress(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> list[int]:
    """Greedy non-maximum suppression of corner boxes [n, 4]: indices kept, best first."""
    order = scores.argsort(kind="stable")[::-1]
    kept: list[int] = []
    while order.size:
        kept.append(int(order[0]))
        order = order[1:][iou(boxes[order[0]], boxes[order[1:]]) <= overlap]
    return kept


def iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Overlap of one corner box with others [n, 4], in 0..1."""
    size = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    common = size.clip(min=0).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - common
    return common / np.maximum(union, 1e-9)


def truth_of(picture: Picture, kind: str) -> np.ndarray:
    """The true boxes of one kind, corners [m, 4] in px."""
    rows = [[b.x0, b.y0, b.x1, b.y1] for figure in picture.figures for b in figure.boxes if b.kind == kind]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def average_precision(found: Sequence[Found], truths: Sequence[np.ndarray], small: Sequence[np.ndarray]) -> float:
    """AP at IoU 0.5 over pictures (area under the precision envelope); `small` marks boxes that do not count."""
    entries: list[tuple[float, bool]] = []
    for one, truth, ignored in zip(found, truths, small, strict=True):
        taken = np.zeros(len(truth), dtype=bool)
        for box, score in zip(one.boxes, one.scores, strict=True):
            overlaps = np.where(taken, 0.0, iou(box, truth)) if len(truth) else np.zeros(0)
            best = int(overlaps.argmax()) if len(truth) else -1
            hit = best >= 0 and overlaps[best] >= 0.5
            if hit:
                taken[best] = True
            if not (hit and ignored[best]):
                entries.append((float(score), hit))
    wanted = sum(int((~ignored).sum()) for ignored in small)
    entries.sort(key=lambda entry: -entry[0])
    hits = np.cumsum([hit for _, hit in entries])
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(np.concatenate([[0.0], hits / max(wanted, 1)])) * envelope))


def measure(path: Path, scenes: int, first_seed: int = UNSEEN) -> dict[str, Any]:
    """Quality on `scenes` scenes of 640x360, a quarter as many of 1280x720 and as many portraits of several sizes, and
    the time a frame takes on one core.

    `person_recall` is over persons at least 64 px tall in the frames of 1280x720, at the published confidence.
    """
    detector = DetectorFile(path)
    cast = [make_character(first_seed + index) for index in range(CAST)]
    pictures = [draw_scene(first_seed + i, width=640, height=360, cast=cast) for i in range(scenes)]
    later = range(first_seed + scenes, first_seed + scenes + max(scenes // 4, 1))
    frames = [draw_scene(seed, width=1280, height=720, cast=cast) for seed in later]
    portraits = [_portrait(seed, make_character(seed)) for seed in later]
    results = [detector.find(picture.image) for picture in pictures]
    portrait_results = [detector.find(picture.image) for picture in portraits]
    started = time.process_time()
    frame_results = [detector.find(frame.image) for frame in frames]
    elapsed = (time.process_time() - started) / len(frames)
    by_class = ap_by_class(detector, pictures, results)
    in_frames = ap_by_class(detector, frames, frame_results)
    return {
        "scenes": scenes,
        "map50": mean(by_class),
        "ap50": by_class,
        "frames": len(frames),
        "map50_frames": mean(in_frames),
        "map50_portraits": mean(ap_by_class(detector, portraits, portrait_results)),
        **person_counts(frames, frame_results),
        "frame_ms_one_core": round(1000 * elapsed, 1),
    }


def _portrait(seed: int, character: Character) -> Picture:
    """One figure that fills a picture of the sizes that people collect."""
    rng = np.random.default_rng([seed, 37])
    hand = HOUSE if seed % 2 else random_hand(seed)
    width, height = SIZES[seed % len(SIZES)]
    return draw_portrait(character, random_view(rng, character), width=width, height=height, hand=hand, rng=rng)


def measure_episode(path: Path, seconds: float, seed: int = UNSEEN) -> dict[str, Any]:
    """Recall and precision for persons in an episode as a pipeline decodes it, two frames for each second."""
    detector, frames = DetectorFile(path), episode_frames(seed, seconds)
    results = [detector.find(frame.image) for frame in frames]
    return {"frames": len(frames), **person_counts(frames, results)}


def episode_frames(seed: int, seconds: float) -> list[Picture]:
    """Frames of a made and encoded episode, every half second, with what is to be seen in them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "episode.mkv"
        truth = make_episode(path, seed, seconds=seconds)
        frames: list[Picture] = []
        with av.open(str(path)) as file:
            for frame in file.decode(video=0):
                time_s = float(frame.time or 0)
                if time_s >= len(frames) / 2:
                    frames.append(Picture(frame.to_ndarray(format="rgb24"), tuple(truth.at(time_s)), ()))
    return frames


def mean(values: dict[str, float]) -> float:
    """The mean of the values, to four places."""
    return round(sum(values.values()) / len(values), 4)


def ap_by_class(detector: DetectorFile, pictures: Sequence[Picture], results: Sequence[list[Found]]) -> dict[str, float]:
    """AP50 for each class over `pictures` and what was found in them."""
    aps: dict[str, float] = {}
    for kind, name in enumerate(CLASSES):
        truths = [truth_of(picture, name) for picture in pictures]
        small: list[np.ndarray] = []
        for picture, truth in zip(pictures, truths, strict=True):
            scale = np.array(detector.size) / np.array(picture.image.shape[1::-1])
            small.append(((truth[:, 2:] - truth[:, :2]) * scale).min(axis=1, initial=np.inf) < SMALLEST)
        aps[name] = round(average_precision([result[kind] for result in results], truths, small), 4)
    return aps


def person_counts(frames: Sequence[Picture], results: Sequence[list[Found]]) -> dict[str, float]:
    """Recall over persons at least 64 px tall and precision over all, at IoU 0.5 and the published confidence."""
    wanted = met = given = right = 0
    for frame, result in zip(frames, results, strict=True):
        truth = truth_of(frame, "person")
        boxes = result[0].boxes[result[0].scores > CONFIDENCE[0]]
        given += len(boxes)
        right += sum(bool(len(truth)) and iou(box, truth).max() >= 0.5 for box in boxes)
        for box in truth:
            if box[3] - box[1] >= 64:
                wanted += 1
                met += bool(len(boxes)) and iou(box, boxes).max() >= 0.5
    return {"person_recall": round(met / max(wanted, 1), 4), "person_precision": round(right / max(given, 1), 4)}
