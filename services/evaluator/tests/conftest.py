"""What the evaluator's tests share: models, LoRA saves for them, a dataset, a Ray head, an inference server."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from kyara_artifacts import File, FileSet, Image, ImageSet, Store, open_store, put_picture
from tests.servers.base_model import write_base_model
from tests.servers.inference import inference_server
from tests.servers.models import write_models
from tests.servers.processes import Server
from tests.servers.ray import Head, ray_head

BASE, CCIP = "meinamix_v11", "ccip-caformer-24-randaug-pruned"
"""Names in the catalogue under which the tests' models lie."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base model of hardly any width, and a CCIP model that compares colours."""
    folder = write_models(tmp_path_factory.mktemp("models"))
    write_base_model(folder / BASE)
    return folder


@pytest.fixture(scope="session")
def inference(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The embedded inference server with those models."""
    with inference_server(tmp_path_factory.mktemp("inference"), models) as server:
        yield server


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
def dataset(store: Store) -> ImageSet:
    """Twelve pictures: seven of one look and five of another, by their tags."""
    rng = np.random.default_rng(3)
    images = []
    for number in range(12):
        digest, width, height = put_picture(store, rng.integers(0, 255, (64, 64, 3)).astype(np.uint8))
        look = ("maid", "apron") if number < 7 else ("swimsuit", "beach", "hat")
        tags = {"blue_hair": 0.9, **dict.fromkeys(look, 0.8), f"other_{number}": 0.5}
        images.append(
            Image(name=f"{number}.png", sha256=digest.sha256, size=digest.size_bytes, width=width, height=height, tags=tags)
        )
    return ImageSet(images=tuple(images))


@pytest.fixture
def saves(store: Store, models: Path) -> FileSet:
    """Two LoRAs in the community's format: of the UNet's attention, one mild and one strong."""
    weights = load_file(models / BASE / "unet" / "diffusion_pytorch_model.safetensors")
    files = []
    for step, strength in ((10, 0.05), (20, 0.5)):
        dice = torch.Generator().manual_seed(step)
        tensors: dict[str, torch.Tensor] = {}
        for name, weight in weights.items():
            if "attn" in name and name.endswith(("to_q.weight", "to_v.weight", "to_out.0.weight")):
                module = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
                tensors[f"{module}.lora_down.weight"] = torch.randn((2, weight.shape[1]), generator=dice)
                tensors[f"{module}.lora_up.weight"] = torch.randn((weight.shape[0], 2), generator=dice) * strength
                tensors[f"{module}.alpha"] = torch.tensor(2.0)
        digest = store.put(save(tensors))
        files.append(File(name=f"{step}.safetensors", sha256=digest.sha256, size=digest.size_bytes, meta={"step": step}))
    return FileSet(files=tuple(files))
