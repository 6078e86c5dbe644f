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


def vectors(model: Path) -> Callable[[Sequence[PIL.Image.Image]], object]:
    """dghs-imgutils' CCIP vectors, in one batch as its own function does it."""
    session: Any = open_onnx_model(str(model))

    def run(pictures: Sequence[PIL.Image.Image]) -> object:
        data = np.stack([_preprocess_image(picture, size=384) for picture in pictures]).astype(np.float32)
        return session.run(["output"], {"input": data})

    return run
