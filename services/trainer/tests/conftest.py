"""What the trainer's tests share: base models, a dataset, params for a run of a second, a Ray head."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import AdapterParams, TrainParams
from kyara_artifacts import Image, ImageSet, Store, open_store, put_picture
from services.trainer.tests.stage_on_ray import Stage
from tests.servers.base_model import write_base_model, write_xl_base_model
from tests.servers.ray import Head, ray_head

SD15, SHALLOW, SDXL = "nai", "meinamix_v11", "sdxl"
"""Names in the catalogue under which the tests' models lie."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: `nai` has SD 1.5's blocks, `meinamix_v11` a few only, `sdxl` those of SDXL; all are narrow."""
    folder = tmp_path_factory.mktemp("models")
    write_base_model(folder / SD15, like_sd15=True)
    write_base_model(folder / SHALLOW)
    write_xl_base_model(folder / SDXL)
    return folder


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """A Ray head."""
    with ray_head() as started:
        yield started


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store, at `file://{tmp_path}/store`."""
    return open_store(f"file://{tmp_path}/store")


@pytest.fixture
def dataset(store: Store) -> ArtifactRef:
    """Seven pictures of three shapes, with captions."""
    rng = np.random.default_rng(5)
    images = []
    for number, (width, height) in enumerate([(64, 64), (66, 64), (64, 65), (40, 80), (42, 80), (41, 80), (90, 45)]):
        digest, *_ = put_picture(store, rng.integers(0, 255, (height, width, 3)).astype(np.uint8))
        caption = f"kyara, tag{number % 3}, tag{number}, blue hair"
        images.append(
            Image(name=f"{number}.png", sha256=digest.sha256, size=digest.size_bytes, width=width, height=height, caption=caption)
        )
    return ImageSet(images=tuple(images)).save(store)


@pytest.fixture
def params() -> TrainParams:
    """A run of a second."""
    return TrainParams(
        base_model=SHALLOW, trigger="kyara", unet=AdapterParams(rank=4, alpha=2, learning_rate=1e-2),
        text_encoder=AdapterParams(rank=2, alpha=1, learning_rate=1e-3), batch_size=2, steps=8, saves=2, resolution=64,
        buckets=3, bucket_step=8, weight_decay=1e-3, warmup_steps=2, max_gradient_norm=1, clip_skip=2, tag_dropout=0.2,
        seed=7, precision="fp32", checkpoint_every=3, output_name="kyara",
    )  # fmt: skip


@pytest.fixture
def stage(tmp_path: Path, store: Store, head: Head, models: Path, dataset: ArtifactRef) -> Stage:
    """The trainer on that head."""
    return Stage(tmp_path, store, head, models, dataset)
