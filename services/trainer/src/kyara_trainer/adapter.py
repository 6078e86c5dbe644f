"""The LoRA: which modules get one, and its weights under the names that the community's readers know."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from peft import LoraConfig
from torch import nn

from kyara.trainer.v1.trainer_pb2 import AdapterParams, TrainParams
from kyara_trainer.fused import fused
from kyara_trainer.model import BaseModel

ADAPTER = "default"
UNET_ENDINGS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
TEXT_ENDINGS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
CONVOLVED = ("ResnetBlock2D", "Downsample2D", "Upsample2D")
"""Blocks whose convolutions and projections LoCon adds."""


class UnknownModuleError(Exception):
    """The network has no module of a name that was asked for; the message says which there are."""


def attach(base: BaseModel, params: TrainParams, seed: int) -> None:
    """Give the base model's attention and feed-forward layers a LoRA each; a rank of 0 leaves a part as it is.

    The start is drawn from `seed`: the down weights at random, the up weights zero, so that nothing changes yet. Params may name
    other modules; raises UnknownModuleError for a name that fits none.
    """
    dora = params.adapter == "dora"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if params.unet.rank:
            convolved = conv_modules(base.unet) if params.adapter == "locon" else []
            base.unet.add_adapter(
                _config(params.unet, [*_chosen(base.unet, params.unet, unet_modules), *convolved], _large(base.unet), dora),
                ADAPTER,
            )
        if params.text_encoder.rank:
            for encoder in base.text_encoders.values():
                encoder.model.add_adapter(
                    _config(params.text_encoder, _chosen(encoder.model, params.text_encoder, text_modules), [], dora), ADAPTER
                )
    for weight in weights(base).values():
        weight.data = weight.data.float()


def unet_modules(unet: nn.Module) -> list[str]:
    """Names of the UNet's modules that get a LoRA: all of every transformer block, and what leads in and out of it."""
    return [name for name, _ in unet.named_modules() if ".attentions." in name and name.endswith(UNET_ENDINGS)]


def named_modules(network: nn.Module, endings: Sequence[str]) -> list[str]:
    """Names of the network's linear layers and 1x1 convolutions that end in one of `endings`. Raises UnknownModuleError."""
    fit = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and max(module.kernel_size) == 1)
    ]
    for ending in endings:
        if not any(_ends(name, ending) for name in fit):
            known = ", ".join(sorted({".".join(name.split(".")[-2:]) for name in fit}))
            raise UnknownModuleError(f"no module's name ends in {ending!r}; they end in {known}")
    return [name for name in fit if any(_ends(name, ending) for ending in endings)]


def conv_modules(unet: nn.Module) -> list[str]:
    """Names of what LoCon adds: convolutions and projections of the residual blocks and of what scales between them."""
    return [
        f"{name}.{inner}"
        for name, block in unet.named_modules()
        if type(block).__name__ in CONVOLVED
        for inner, module in block.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]


def text_modules(text_encoder: nn.Module) -> list[str]:
    """Names of the text encoder's modules that get a LoRA: self-attention and mlp of every layer."""
    return [name for name, _ in text_encoder.named_modules() if ".layers." in name and name.endswith(TEXT_ENDINGS)]


def weights(base: BaseModel) -> dict[str, nn.Parameter]:
    """The trained weights by community name (`lora_unet_..._to_q.lora_down.weight`), in a fixed order."""
    found: dict[str, nn.Parameter] = {}
    for key, module in _lora_layers(base):
        found[f"{key}.lora_down.weight"] = module.lora_A[ADAPTER].weight
        found[f"{key}.lora_up.weight"] = module.lora_B[ADAPTER].weight
        if ADAPTER in module.lora_magnitude_vector:
            found[f"{key}.dora_scale"] = module.lora_magnitude_vector[ADAPTER].weight
    return found


def part_of(name: str) -> str:
    """What a trained weight belongs to: `unet`, `text_encoder` or, when it is no LoRA's, `pivotal`."""
    prefix = next((prefix for prefix in ("lora_unet_", "lora_te") if name.startswith(prefix)), "")
    return {"lora_unet_": "unet", "lora_te": "text_encoder", "": "pivotal"}[prefix]


def community_name(prefix: str, module: str) -> str:
    """Name of a module in a LoRA file: `prefix` and its path with dots as underscores.

    A text encoder's path begins with `text_model`, which newer versions of transformers leave out.
    """
    path = module if prefix == "lora_unet" or module.startswith("text_model.") else f"text_model.{module}"
    return f"{prefix}_{path.replace('.', '_')}"


def tensors(base: BaseModel, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The LoRA as its file holds it: weights in `dtype`, and beside each pair its alpha, as trained.

    A reader's scale is alpha / rank. DoRA's magnitudes stand one to an output, [out, 1] or [out, 1, 1, 1], as LyCORIS has them.
    """
    file: dict[str, torch.Tensor] = {}
    for name, weight in weights(base).items():
        value = weight.detach().to("cpu", dtype)
        if name.endswith(".dora_scale"):
            value = value.reshape(-1, *([1] * (3 if value.dim() == 4 else 1)))
        file[name] = value.contiguous()
    for key, module in _lora_layers(base):
        file[f"{key}.alpha"] = torch.tensor(float(module.lora_alpha[ADAPTER]), dtype=dtype)
    return file


def _lora_layers(base: BaseModel) -> Iterator[tuple[str, Any]]:
    """Every module with a LoRA, by its community name."""
    roots: dict[str, nn.Module] = {"lora_unet": base.unet}
    roots |= {prefix: encoder.model for prefix, encoder in base.text_encoders.items()}
    for prefix, root in roots.items():
        for name, module in root.named_modules():
            down = getattr(module, "lora_A", None)
            if isinstance(down, nn.ModuleDict) and ADAPTER in down:
                yield community_name(prefix, name), module


def _chosen(network: nn.Module, params: AdapterParams, others: Callable[[nn.Module], list[str]]) -> list[str]:
    """The modules that params name, or `others`."""
    return named_modules(network, params.modules) if params.modules else others(network)


def _ends(name: str, ending: str) -> bool:
    return f".{name}".endswith(f".{ending}")


def _large(unet: nn.Module) -> list[str]:
    """Names of the convolutions larger than 1x1."""
    return [name for name, module in unet.named_modules() if isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1]


def _config(params: AdapterParams, modules: list[str], large: list[str], dora: bool) -> LoraConfig:
    chosen = [name for name in modules if name not in set(large)]
    if params.conv_rank:
        chosen += [name for name in modules if name in set(large)]
    of_convolutions = [name for name in chosen if name in set(large)]
    # peft's annotation says int, but it only divides: alpha is often a fraction of the rank.
    config = LoraConfig(
        r=params.rank,
        lora_alpha=params.alpha,  # pyright: ignore[reportArgumentType]
        target_modules=chosen,
        rank_pattern=dict.fromkeys(of_convolutions, params.conv_rank),
        alpha_pattern=dict.fromkeys(of_convolutions, params.conv_alpha),
        use_dora=dora,
        bias="none",
    )
    return config if dora else fused(config)
