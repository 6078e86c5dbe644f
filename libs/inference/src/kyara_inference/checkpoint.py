"""What a file of weights is, told by its header alone: nothing in it is run, and no weight is read.

A checkpoint of one file names its parts as CompVis' latent diffusion does, and Stable Diffusion 1.5 is told from
everything else that is shared as `.safetensors` by those names and by the shapes of a few.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

LARGEST = 16 << 30
"""Bytes; Stable Diffusion 1.5 with a second, averaged UNet in full precision has 8 GiB."""
PICKLE_NAMES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
CONVERT_CHECKPOINT = (
    'python -c "import sys, torch; from safetensors.torch import save_file; '
    "found = torch.load(sys.argv[1], map_location='cpu', weights_only=True); found = found.get('state_dict', found); "
    'save_file({k: v.clone().contiguous() for k, v in found.items() if torch.is_tensor(v)}, sys.argv[2])" '
    "model.ckpt model.safetensors"
)

_UNET, _VAE, _TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."
_FIRST = f"{_UNET}input_blocks.0.0.weight"
_CROSS = f"{_UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
_WORDS, _PLACES = (f"{_TEXT}text_model.embeddings.{what}_embedding.weight" for what in ("token", "position"))
# What a part of a name tells, the most telling first.
_OTHERS = (
    ((".lora_down.", ".lora_up.", ".lora_A.", ".lora_B.", ".hada_w1", ".lokr_w1"), "a LoRA, no base model"),
    (("control_model.", "controlnet_"), "a ControlNet, no base model"),
    (("emb_params", "string_to_param"), "an embedding, no base model"),
    (("conditioner.embedders.",), "Stable Diffusion XL"),
    (("cond_stage_model.model.",), "Stable Diffusion 2"),
    (("joint_blocks.",), "Stable Diffusion 3"),
    (("double_blocks.",), "Flux"),
    (("down_blocks.", "up_blocks."), "one part of a diffusers folder; give the folder itself"),
)
_CHANNELS = {9: "Stable Diffusion's inpainting model", 8: "InstructPix2Pix, which changes pictures"}


class UnfitModel(ValueError):
    """It is no base model that can be used; the message says what it is and what to do."""


def shapes_of(path: Path, convert: str) -> dict[str, tuple[int, ...]]:
    """Shape by name of every tensor in a safetensors file, whose header is whole and fits its size; `convert` a pickle.

    Raises UnfitModel, OSError.
    """
    with path.open("rb") as file:
        start = file.read(16)
    # The length of a safetensors header may look like the beginning of a pickle; then comes the header itself.
    if (start.startswith(_PICKLES) and start[8:9] != b"{") or path.suffix.lower() in PICKLE_NAMES:
        raise UnfitModel(
            f"{path}: a pickle, by its name or content, which runs whatever its maker put into it; ask for a .safetensors, or "
            f"convert it on a machine that you can lose: {convert}"
        )
    if (size := path.stat().st_size) > LARGEST:
        raise UnfitModel(f"{path}: {size} bytes are more than a base model has; at most {LARGEST} are taken")
    try:
        with safe_open(path, "np") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118  # no mapping
    except SafetensorError as error:
        raise UnfitModel(f"{path}: no safetensors file, or cut short: {error}") from error


def sd15_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape by name of every tensor of a Stable Diffusion 1.5 checkpoint of one file. Raises UnfitModel, OSError."""
    shapes = shapes_of(path, CONVERT_CHECKPOINT)
    for marks, what in _OTHERS:
        if any(mark in name for name in shapes for mark in marks):
            raise UnfitModel(f"{path}: this is {what}; a checkpoint of one file must be Stable Diffusion 1.5")
    parts = {_UNET: "UNet", f"{_VAE}encoder.": "VAE encoder", f"{_VAE}decoder.": "VAE decoder", _TEXT: "text encoder"}
    if missing := [what for prefix, what in parts.items() if not any(name.startswith(prefix) for name in shapes)]:
        held = " and ".join(what for what in parts.values() if what not in missing)
        rest = f"only {held}; ask for the whole one" if held else f"its first part is {min(shapes, default='none')}"
        raise UnfitModel(f"{path}: no Stable Diffusion 1.5 checkpoint: it has no {', no '.join(missing)}, {rest}")
    if not {_WORDS, _PLACES} <= shapes.keys():
        raise UnfitModel(
            f"{path}: its text encoder's parts are named as in 2022's first checkpoints, without `text_model`; take "
            "its diffusers folder, or save it anew with a program that writes today's names"
        )
    return shapes


def check_sizes(path: Path, shapes: Mapping[str, tuple[int, ...]], config: Path) -> None:
    """Raise UnfitModel unless what `sd15_shapes` found at `path` fits the configs in the folder `config`."""
    unet, text = _json(config / "unet" / "config.json"), _json(config / "text_encoder" / "config.json")
    channels = (*shapes.get(_FIRST, ()), 0, 0)[1]
    if channels in _CHANNELS and channels != unet["in_channels"]:
        raise UnfitModel(f"{path}: this is {_CHANNELS[channels]}; a checkpoint of one file must be Stable Diffusion 1.5")
    width = unet["block_out_channels"][0]
    wanted = {
        _FIRST: (width, unet["in_channels"], 3, 3),
        _CROSS: (width, unet["cross_attention_dim"]),
        _WORDS: (text["vocab_size"], text["hidden_size"]),
    }
    for name, shape in wanted.items():
        if shapes.get(name) != shape:
            has = "missing" if name not in shapes else f"{list(shapes[name])}"
            raise UnfitModel(f"{path}: not of Stable Diffusion 1.5's size: {name} is {has}, not {list(shape)}")


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_bytes())
