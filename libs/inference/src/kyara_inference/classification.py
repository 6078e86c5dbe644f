"""What kind of picture one is, from a classifier of deepghs; the same as dghs-imgutils 0.19 gives with the same file."""

from collections.abc import Sequence

import numpy as np
import PIL.Image

from kyara_inference.catalogue import catalogue
from kyara_inference.client import Inference


def classify(inference: Inference, model: str, images: Sequence[PIL.Image.Image]) -> list[dict[str, float]]:
    """Probability of each label, best first, for RGB `images`.

    Raises UnknownModel, ModelMissing (the file with the names of the labels) and InferenceError.
    """
    entry = catalogue().classifier(model)
    labels = entry.labels(inference.models)
    stacks = inference.stacks(model, images, lambda image: _encode(image, entry.size), 3 * entry.size**2 * 4)
    found: list[dict[str, float]] = []
    for answer in inference.infer_each(model, ({"input": stack} for stack in stacks), "output"):
        for scores in answer:
            pairs = [(label, float(score)) for label, score in zip(labels, scores, strict=True)]
            found.append(dict(sorted(pairs, key=lambda pair: -pair[1])))
    return found


def _encode(image: PIL.Image.Image, size: int) -> np.ndarray:
    """[3, size, size] float32, -1..1; squeezed without padding."""
    resized = np.asarray(image.convert("RGB").resize((size, size), PIL.Image.Resampling.BILINEAR), dtype=np.float32)
    return (resized.transpose(2, 0, 1) / 255 - 0.5) / 0.5
