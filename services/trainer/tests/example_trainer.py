"""A tiny valid action for the trainer, for the contract suite."""

import numpy as np

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import AdapterParams, TrainParams
from kyara_artifacts import Image, ImageSet, Store, put_picture


def example(store: Store) -> tuple[TrainParams, dict[str, ArtifactRef]]:
    """Four steps on three pictures of 64x64 px with the built-in base model."""
    rng = np.random.default_rng(7)
    images = []
    for number in range(3):
        digest, width, height = put_picture(store, rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        facts = {"sha256": digest.sha256, "size": digest.size_bytes, "width": width, "height": height}
        images.append(Image(name=f"{number}.png", **facts, caption="kyara, blue hair, smile"))
    params = TrainParams(
        base_model="miniature-base",
        trigger="kyara",
        unet=AdapterParams(rank=2, alpha=2, learning_rate=1e-3),
        batch_size=2,
        steps=4,
        saves=2,
        resolution=64,
        buckets=1,
        bucket_step=16,
        max_gradient_norm=1,
        clip_skip=1,
        seed=1,
        checkpoint_every=2,
        output_name="kyara",
    )
    return params, {"dataset": ImageSet(images=tuple(images)).save(store)}
