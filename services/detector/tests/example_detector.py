"""A tiny valid action for the detector, for the contract suite."""

import numpy as np

from kyara.detector.v1.detector_pb2 import DetectParams, Threshold
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Image, ImageSet, Store, put_picture


def example(store: Store) -> tuple[DetectParams, dict[str, ArtifactRef]]:
    """Two pictures without a figure, 64x48 px."""
    rng = np.random.default_rng(7)
    images = []
    for number in range(2):
        digest, width, height = put_picture(store, rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        name = f"{number}.png"
        images.append(Image(name=name, sha256=digest.sha256, size=digest.size_bytes, width=width, height=height))
    kinds = [Threshold(kind="person", model="miniature-detector", confidence=0.3, iou=0.5)]
    return DetectParams(kinds=kinds), {"images": ImageSet(images=tuple(images)).save(store)}
