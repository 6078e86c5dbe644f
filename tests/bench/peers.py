"""What the benchmarks compare with: the usual way to do the same work."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image
from imgutils.data import rgb_encode
from imgutils.generic import yolo
from imgutils.metrics.ccip import _preprocess_image  # pyright: ignore[reportPrivateUsage]
from imgutils.tagging import wd14
from imgutils.utils import open_onnx_model


def cuts(video: Path) -> list[float]:
    """Times of the cuts, by the mean difference of successive frames at full size."""
    found: list[float] = []
    last: np.ndarray | None = None
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="rgb24").astype(np.int16)
            if last is not None and np.abs(image - last).mean() > 20:
                found.append(float(frame.time or 0))
            last = image
    return found


def boxes(model: Path) -> Callable[[Sequence[PIL.Image.Image]], object]:
    """dghs-imgutils' detection, once for each kind, as its own functions do it."""
    session: Any = open_onnx_model(str(model))
    width, height = json.loads(session.get_modelmeta().custom_metadata_map["imgsz"])

    def run(pictures: Sequence[PIL.Image.Image]) -> object:
        found = []
        for kind in range(4):
            for picture in pictures:
                image, old, new = yolo._image_preprocess(picture, (width, height))
                (output,) = session.run(["output0"], {"images": rgb_encode(image)[None]})
                found.append(yolo._yolo_postprocess(output[0][[0, 1, 2, 3, 4 + kind]], 0.3, 0.5, old, new, ["kind"]))
        return found

    return run


DEFAULTS = ((0.3, 0.5), (0.5, 0.7), (0.4, 0.7), (0.25, 0.7))
"""Confidence and overlap of imgutils' functions for persons, half bodies, heads and faces when none is given."""


def kind_boxes(model: Path) -> Callable[[PIL.Image.Image, int], list[tuple[int, int, int, int]]]:
    """dghs-imgutils' detection of one kind in one picture, as `detect_person`, `detect_heads`, ... do it."""
    session: Any = open_onnx_model(str(model))
    width, height = json.loads(session.get_modelmeta().custom_metadata_map["imgsz"])

    def run(picture: PIL.Image.Image, kind: int) -> list[tuple[int, int, int, int]]:
        image, old, new = yolo._image_preprocess(picture, (width, height))
        (output,) = session.run(["output0"], {"images": rgb_encode(image)[None]})
        found: Any = yolo._yolo_postprocess(output[0][[0, 1, 2, 3, 4 + kind]], *DEFAULTS[kind], old, new, ["kind"])
        return [corners for corners, _, _ in found]

    return run


def differences(model: Path) -> Callable[[np.ndarray], np.ndarray]:
    """dghs-imgutils' CCIP differences of a stack of vectors."""
    session: Any = open_onnx_model(str(model))
    return lambda vectors: session.run(["output"], {"input": vectors})[0]


def tags(model: Path) -> Callable[[PIL.Image.Image], list[int]]:
    """dghs-imgutils' WD14 tags of one picture: places of those above 0.35."""
    session: Any = open_onnx_model(str(model))

    def run(picture: PIL.Image.Image) -> list[int]:
        scores = session.run(["output"], {"input": wd14._prepare_image_for_tagging(picture, 448)})[0][0]
        return np.flatnonzero(scores > 0.35).tolist()

    return run


def vectors(model: Path) -> Callable[[Sequence[PIL.Image.Image]], np.ndarray]:
    """dghs-imgutils' CCIP vectors, in one batch as its own function does it."""
    session: Any = open_onnx_model(str(model))

    def run(pictures: Sequence[PIL.Image.Image]) -> np.ndarray:
        data = np.stack([_preprocess_image(picture, size=384) for picture in pictures]).astype(np.float32)
        return session.run(["output"], {"input": data})[0]

    return run
