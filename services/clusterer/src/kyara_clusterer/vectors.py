"""The embedder's file: a row of numbers for each picture."""

import json
from dataclasses import dataclass

import numpy as np
from safetensors import safe_open

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_clusterer.settings import ClustererSettings
from kyara_stage import StageContext


@dataclass(frozen=True)
class Vectors:
    """What the embedder knows of n pictures."""

    row: dict[str, int]
    """Row by the picture's name."""
    features: np.ndarray
    """[n, 768] float32: CCIP."""
    clothes: np.ndarray
    """[n, 405] float32: what is worn."""


def read_vectors(ctx: StageContext[ClustererSettings], given: ArtifactRef) -> Vectors:
    """The vectors in the store."""
    path = ctx.scratch / f"{given.digest.sha256}.safetensors"
    ctx.store.fetch(given.digest, path)
    with safe_open(path, "numpy") as file:
        names = json.loads(file.metadata()["names"])
        features, clothes = file.get_tensor("features"), file.get_tensor("clothes")
    return Vectors({name: row for row, name in enumerate(names)}, features, clothes)
