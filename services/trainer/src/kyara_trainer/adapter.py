"""The LoRA: which modules get one, and its weights under the names that the community's readers know."""

from collections.abc import Iterator
from typing import Any

import torch
from peft import LoraConfig
from torch import nn

from kyara.trainer.v1.trainer_pb2 import AdapterParams
from kyara_trainer.model import BaseModel

ADAPTER = "default"
UNET_ENDINGS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
TEXT_ENDINGS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


def attach(base: BaseModel, unet: AdapterParams, text_encoder: AdapterParams, seed: int) -> None:
    """Give the base model's attention and feed-forward layers a LoRA each; a rank of 0 leaves a part as it is.

    The start is drawn from `seed`: the down weights at random, the up weights zero, so that nothing changes yet.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if unet.rank:
            base.unet.add_adapter(_config(unet, unet_modules(base.unet)), ADAPTER)
        if text_encoder.rank:
            base.text_encoder.add_adapter(_config(text_encoder, text_modules(base.text_encoder)), ADAPTER)
    for weight in weights(base).values():
        weight.data = weight.data.float()


def unet_modules(unet: nn.Module) -> list[str]:
    """Names of the UNet's modules that get a LoRA: all of every transformer block, and what leads in and out of it."""
    return [name for name, _ in unet.named_modules() if ".attentions." in name and name.endswith(UNET_ENDINGS)]


def text_modules(text_encoder: nn.Module) -> list[str]:
    """Names of the text encoder's modules that get a LoRA: self-attention and mlp of every layer."""
    return [name for name, _ in text_encoder.named_modules() if ".layers." in name and name.endswith(TEXT_ENDINGS)]


def weights(base: BaseModel) -> dict[str, nn.Parameter]:
    """The trained weights by community name (`lora_unet_..._to_q.lora_down.weight`), in a fixed order."""
    found: dict[str, nn.Parameter] = {}
    for prefix, root in (("lora_unet", base.unet), ("lora_te", base.text_encoder)):
        for name, module in _lora_layers(root):
            key = community_name(prefix, name)
            found[f"{key}.lora_down.weight"] = module.lora_A[ADAPTER].weight
            found[f"{key}.lora_up.weight"] = module.lora_B[ADAPTER].weight
    return found


def text_weight_names(names: list[str]) -> list[str]:
    """Those of the text encoder among community names."""
    return [name for name in names if name.startswith("lora_te_")]


def community_name(prefix: str, module: str) -> str:
    """Name of a module in a LoRA file: `prefix` and its path with dots as underscores.

    The text encoder's path begins with `text_model`, which newer versions of transformers leave out.
    """
    path = module if prefix == "lora_unet" or module.startswith("text_model.") else f"text_model.{module}"
    return f"{prefix}_{path.replace('.', '_')}"


def tensors(base: BaseModel, alphas: dict[str, float], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The LoRA as its file holds it: weights in `dtype`, and beside each pair its alpha, as trained.

    `alphas` holds the alpha of `lora_unet` and of `lora_te`. A reader's scale is alpha / rank.
    """
    file: dict[str, torch.Tensor] = {}
    for name, weight in weights(base).items():
        file[name] = weight.detach().to("cpu", dtype).contiguous()
        module = name.partition(".")[0]
        file[f"{module}.alpha"] = torch.tensor(alphas["lora_te" if name.startswith("lora_te_") else "lora_unet"], dtype=dtype)
    return file


def _lora_layers(root: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, module in root.named_modules():
        down = getattr(module, "lora_A", None)
        if isinstance(down, nn.ModuleDict) and ADAPTER in down:
            yield name, module


def _config(params: AdapterParams, modules: list[str]) -> LoraConfig:
    # peft's annotation says int, but it only divides: alpha is often a fraction of the rank.
    return LoraConfig(r=params.rank, lora_alpha=params.alpha, target_modules=modules, bias="none")  # pyright: ignore[reportArgumentType]
