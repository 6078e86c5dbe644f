"""A tiny valid action for the embedder, for the contract suite."""

import numpy as np

from kyara.embedder.v1.embedder_pb2 import EmbedParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Image, ImageSet, Store, put_picture


def example(store: Store) -> tuple[EmbedParams, dict[str, ArtifactRef]]:
    """Two pictures of 64x48 px."""
    rng = np.random.default_rng(7)
    images = []
    for number in range(2):
        digest, width, height = put_picture(store, rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        name = f"{number}.png"
        images.append(Image(name=name, sha256=digest.sha256, size=digest.size_bytes, width=width, height=height))
    return EmbedParams(model="miniature-ccip"), {"images": ImageSet(images=tuple(images)).save(store)}
