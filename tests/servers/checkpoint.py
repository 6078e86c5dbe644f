"""A Stable Diffusion 1.5 model as one file, named as CompVis' latent diffusion names its parts: what people share.

The reverse of what diffusers does when it reads one, written by the names alone.
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]
_UNET = {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}
_UNET |= {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
_RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1"}
_RESNET |= {"norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def write_checkpoint(folder: Path, path: Path) -> None:
    """Write the model of the diffusers folder as one file, with the odds and ends that such files have."""
    save_file(checkpoint_of(folder), path)


def checkpoint_of(folder: Path) -> Tensors:
    """The tensors of such a file."""
    text = load_file(folder / "text_encoder" / "model.safetensors")
    tensors = {f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}": each for name, each in text.items()}
    tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    tensors["alphas_cumprod"] = torch.linspace(1, 0, 1000)
    return tensors | _unet(folder / "unet") | _vae(folder / "vae")


def write_config(folder: Path, to: Path) -> Path:
    """Copy what such a file leaves out of the diffusers folder, which is what `sd15-config` is; the index as published."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.safetensors"))
    index = json.loads((to / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    (to / "model_index.json").write_text(json.dumps(index))
    return to


def _unet(folder: Path) -> Tensors:
    layers = json.loads((folder / "config.json").read_text())["layers_per_block"]
    weights = load_file(folder / "diffusion_pytorch_model.safetensors")

    def renamed(name: str) -> str:
        for theirs, ours in _UNET.items():
            if name.startswith(f"{theirs}."):
                return name.replace(theirs, ours, 1)
        match = re.fullmatch(
            r"(down|mid|up)_blocks?\.(?:(\d+)\.)?(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", name
        )
        assert match, name
        where, block, kind, number, rest = match[1], int(match[2] or 0), match[3], int(match[4]), match[5]
        if kind == "resnets":
            for theirs, ours in _RESNET.items():
                rest = re.sub(rf"^{theirs}\b", ours, rest)
        if where == "mid":
            return f"middle_block.{1 if kind == 'attentions' else 2 * number}.{rest}"
        place = block * (layers + 1) + number
        if kind == "downsamplers":
            return f"input_blocks.{(block + 1) * (layers + 1)}.0.{rest.replace('conv', 'op')}"
        if kind == "upsamplers":
            after = 2 if any(each.startswith(f"up_blocks.{block}.attentions.") for each in weights) else 1
            return f"output_blocks.{block * (layers + 1) + layers}.{after}.{rest}"
        side, first = ("input_blocks", 1) if where == "down" else ("output_blocks", 0)
        return f"{side}.{first + place}.{0 if kind == 'resnets' else 1}.{rest}"

    return _with("model.diffusion_model.", weights, renamed)


def _vae(folder: Path) -> Tensors:
    blocks = len(json.loads((folder / "config.json").read_text())["block_out_channels"])

    def renamed(name: str) -> str:
        name = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", name)
        name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d+)\.resnets", lambda found: f"up.{blocks - 1 - int(found[1])}.block", name)
        name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda found: f"up.{blocks - 1 - int(found[1])}.upsample", name)
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
        if "mid_block.attentions.0" in name:
            for theirs, ours in _ATTENTION.items():
                name = name.replace(f".{theirs}.", f".{ours}.")
        name = name.replace("mid_block.attentions.0", "mid.attn_1").replace("conv_norm_out", "norm_out")
        return name.replace("conv_shortcut", "nin_shortcut")

    weights = load_file(folder / "diffusion_pytorch_model.safetensors")
    tensors = _with("first_stage_model.", weights, renamed)
    # There its attention is convolutions of one pixel.
    attention = {name for name in tensors if "attn_1" in name and name.endswith("weight") and tensors[name].dim() == 2}
    return {name: each[:, :, None, None].contiguous() if name in attention else each for name, each in tensors.items()}


def _with(prefix: str, weights: Mapping[str, torch.Tensor], renamed: Callable[[str], str]) -> Tensors:
    return {prefix + renamed(name): each for name, each in weights.items()}
