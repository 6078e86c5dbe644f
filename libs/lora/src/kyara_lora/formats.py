"""One LoRA, as two families of programs name it.

`community`: what kohya-ss/sd-scripts writes, and A1111, ComfyUI and diffusers read: `lora_unet_{path}.lora_down.weight`,
`.lora_up.weight`, `.alpha` (scale alpha / rank), text encoders `lora_te_` (SD 1.5) or `lora_te1_`, `lora_te2_` (XL).
`diffusers`: what diffusers and peft write: `unet.{path}.lora_A.weight`, `.lora_B.weight`, no alpha: the scale is 1. Older ones
say `lora.down` for `lora_A`, and are read too.
"""

import re
from collections.abc import Mapping

import numpy as np

from kyara_lora.container import BadFile, LoraFile, Tensors
from kyara_lora.names import UnknownName, dotted, underscored

COMMUNITY, DIFFUSERS = "community", "diffusers"
FORMATS = (COMMUNITY, DIFFUSERS)
_PARTS = {"lora_unet": "unet", "lora_te": "text_encoder", "lora_te1": "text_encoder", "lora_te2": "text_encoder_2"}
_COMMUNITY = re.compile(r"(lora_unet|lora_te[12]?)_(.+?)\.(lora_down\.weight|lora_up\.weight|alpha|dora_scale)")
_DIFFUSERS = re.compile(
    r"(unet|text_encoder(?:_2)?)\.(.+?)\.(?:(lora_A|lora\.down|lora_linear_layer\.down)|(lora_B|lora\.up|lora_linear_layer\.up))"
    r"(?:\.default)?\.weight"
)


def format_of(file: LoraFile) -> str:
    """`community` or `diffusers`. Raises BadFile for what is neither."""
    names = file.tensors
    if any(_COMMUNITY.fullmatch(name) for name in names):
        return COMMUNITY
    if any(_DIFFUSERS.fullmatch(name) for name in names):
        return DIFFUSERS
    shown = ", ".join(sorted(names)[:2]) or "nothing"
    raise BadFile(f"no LoRA of Stable Diffusion: it holds {shown}; LyCORIS's other kinds (LoHa, LoKr) cannot be converted")


def converted(file: LoraFile, to: str) -> LoraFile:
    """The same LoRA in the format `to`. Raises BadFile, with the name of the first part that has none there."""
    if format_of(file) == to:
        return file
    tensors = _to_community(file.tensors) if to == COMMUNITY else _to_diffusers(file.tensors)
    metadata = {name: value for name, value in file.metadata.items() if not name.startswith("sshs_")}
    return LoraFile(tensors, metadata)


def _to_diffusers(tensors: Tensors) -> Tensors:
    found: Tensors = {}
    for name, array in tensors.items():
        prefix, path, end = _taken_apart(_COMMUNITY, name)
        if end == "alpha":
            continue
        if end == "dora_scale":
            raise BadFile(f"{name}: a LoRA with magnitudes (DoRA) has no common form in diffusers' names; keep the file as it is")
        try:
            module = f"{_PARTS[prefix]}.{dotted(path)}"
        except UnknownName as error:
            raise BadFile(str(error)) from error
        down = end == "lora_down.weight"
        scaled = array if down else _scaled(array, _scale(tensors, name))
        found[f"{module}.lora_{'A' if down else 'B'}.weight"] = scaled
    return found


def _to_community(tensors: Tensors) -> Tensors:
    two_encoders = any(name.startswith("text_encoder_2.") for name in tensors)
    encoders = {"text_encoder": "lora_te1" if two_encoders else "lora_te", "text_encoder_2": "lora_te2", "unet": "lora_unet"}
    found: Tensors = {}
    for name, array in tensors.items():
        part, path, down, _ = _taken_apart(_DIFFUSERS, name)
        if part != "unet" and not path.startswith("text_model."):
            path = f"text_model.{path}"
        module = f"{encoders[part]}_{underscored(path)}"
        found[f"{module}.lora_{'down' if down else 'up'}.weight"] = array
        if down:
            found[f"{module}.alpha"] = np.array(array.shape[0], array.dtype)
    return found


def _taken_apart(pattern: re.Pattern[str], name: str) -> tuple[str, ...]:
    found = pattern.fullmatch(name)
    if not found:
        raise BadFile(f"{name} is no part of a LoRA's pair of matrices; LyCORIS's other kinds cannot be converted")
    return found.groups()


def _scale(tensors: Mapping[str, np.ndarray], up: str) -> float:
    """What the pair's product is multiplied by: alpha / rank; 1 where there is no alpha."""
    module = up.removesuffix(".lora_up.weight")
    alpha = tensors.get(f"{module}.alpha")
    return 1.0 if alpha is None else float(alpha) / tensors[up].shape[1]


def _scaled(array: np.ndarray, scale: float) -> np.ndarray:
    return array if scale == 1 else (array.astype(np.float32) * np.float32(scale)).astype(array.dtype)
