"""General tags of a picture from a WD14 tagger, the same as dghs-imgutils 0.19 gives with the same file."""

from collections.abc import Sequence

import numpy as np
import PIL.Image

from kyara_inference.catalogue import catalogue
from kyara_inference.client import Inference

GENERAL = 0


def tag(inference: Inference, model: str, images: Sequence[PIL.Image.Image], threshold: float) -> list[dict[str, float]]:
    """General tags (danbooru words with underscores) above `threshold`, with their scores, best first.

    `images` are RGB. Raises UnknownModel, ModelMissing (the file with the names of the tags) and InferenceError.
    """
    entry = catalogue().tagger(model)
    labels = entry.labels(inference.models)
    general = [(place, name) for place, (name, category) in enumerate(labels) if category == GENERAL]
    stacks = inference.stacks(model, images, lambda image: _encode(image, entry.size), 3 * entry.size**2 * 4)
    found: list[dict[str, float]] = []
    for answer in inference.infer_each(model, ({"input": stack} for stack in stacks), "output"):
        for scores in answer:
            above = [(name, float(scores[place])) for place, name in general if float(scores[place]) > threshold]
            found.append(dict(sorted(above, key=lambda pair: (-pair[1], pair[0]))))
    return found


def _encode(image: PIL.Image.Image, size: int) -> np.ndarray:
    """[size, size, 3] float32, BGR, 0..255; padded to a square with white."""
    side = max(image.size)
    square = PIL.Image.new("RGB", (side, side), (255, 255, 255))
    square.paste(image.convert("RGB"), ((side - image.width) // 2, (side - image.height) // 2))
    if side != size:
        square = square.resize((size, size), PIL.Image.Resampling.BICUBIC)
    return np.asarray(square, dtype=np.float32)[:, :, ::-1]
