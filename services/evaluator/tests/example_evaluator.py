"""Tiny valid actions for the evaluator, for the contract suite."""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams, PinParams, Prompt
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import File, FileSet, Image, ImageSet, Store, put_picture
from kyara_inference import local_path

BASE = "miniature-base"


def example(store: Store) -> tuple[EvaluateParams, dict[str, ArtifactRef]]:
    """One save and the built-in base model, drawn from one prompt, against three pictures of noise."""
    rng = np.random.default_rng(7)
    images = []
    for number in range(3):
        digest, width, height = put_picture(store, rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        facts = {"sha256": digest.sha256, "size": digest.size_bytes, "width": width, "height": height}
        images.append(Image(name=f"{number}.png", **facts, tags={"blue_hair": 0.9}))
    digest = store.put(_lora())
    kept = File(name="kyara-000010.safetensors", sha256=digest.sha256, size=digest.size_bytes, meta={"step": 10})
    params = EvaluateParams(
        preview_model=BASE,
        ccip_model="miniature-ccip",
        trigger="kyara",
        core_tags=["blue_hair"],
        prompts=[Prompt(name="plain", text="{trigger}, {core_tags}, solo")],
        width=64,
        height=64,
        sampler_steps=2,
        guidance=4,
        clip_skip=1,
        lora_weight=1,
        trigger_weight=1,
        seed=1,
    )
    return params, {"dataset": ImageSet(images=tuple(images)).save(store), "saves": FileSet(files=(kept,)).save(store)}


def _lora() -> bytes:
    """A LoRA of one layer of the base model, in the community's format."""
    folder = local_path(BASE) / "unet"
    weights = json.loads((folder / "config.json").read_text())["cross_attention_dim"]
    with safe_open(folder / "diffusion_pytorch_model.safetensors", "pt") as file:
        name = next(name for name in sorted(file.keys()) if name.endswith("attn2.to_k.weight"))
        rows = file.get_slice(name).get_shape()[0]
    module = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
    tensors = {
        f"{module}.lora_down.weight": torch.full((1, weights), 0.1),
        f"{module}.lora_up.weight": torch.full((rows, 1), 0.1),
        f"{module}.alpha": torch.tensor(1.0),
    }
    return save(tensors)


def pinned(_: Store) -> tuple[PinParams, dict[str, ArtifactRef]]:
    """A LoRA in a file."""
    path = Path(tempfile.gettempdir()) / "kyara-example-lora.safetensors"
    path.write_bytes(_lora())
    return PinParams(path=str(path)), {}


EXAMPLES = {"evaluator": example, "evaluator.pin": pinned}
