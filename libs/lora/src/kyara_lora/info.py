"""What a LoRA file is, from its names, shapes and metadata alone."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from kyara_lora.container import LoraFile
from kyara_lora.formats import format_of

_SDXL_WIDTH = 2048
_KINDS = {"dora_scale": "DoRA", "hada_w1_a": "LoHa", "lokr_w1": "LoKr", "oft_blocks": "OFT"}
_PART = re.compile(r"lora_(unet|te[12]?)_|(unet|text_encoder(?:_2)?)\.")
_CONV_SIDES = 2


@dataclass
class Part:
    """One network's share of a LoRA."""

    name: str
    modules: int = 0
    ranks: dict[int, int] = field(default_factory=dict)
    """Modules by rank."""
    scales: dict[float, int] = field(default_factory=dict)
    """Modules by alpha / rank."""
    strength: float = 0.0
    """Root mean square of what the modules add to the network's weights."""


@dataclass(frozen=True)
class Summary:
    """A LoRA file in a few words."""

    format: str
    architecture: str
    """`SD 1.5`, `SDXL`, or `SD` where the names say no more."""
    kind: str
    """`LoRA`, `LoCon` (convolutions too), `DoRA`, ..."""
    dtypes: tuple[str, ...]
    parts: tuple[Part, ...]
    not_finite: int
    """Tensors that hold NaN or infinite numbers: such a file draws noise."""
    hash_fits: bool | None
    """Whether the tensors are those that the metadata's hash names; None when it names none."""
    metadata: dict[str, str]
    tags: tuple[tuple[str, int], ...]
    """The trainer's most frequent tags and how many pictures had them."""


def summary_of(file: LoraFile) -> Summary:
    """What the file is. Raises BadFile for what is no LoRA."""
    form = format_of(file)
    return Summary(
        format=form,
        architecture=_architecture(file),
        kind=_kind(file),
        dtypes=tuple(sorted({array.dtype.name for array in file.tensors.values()})),
        parts=_parts(file),
        not_finite=sum(not np.isfinite(array.astype(np.float32)).all() for array in file.tensors.values()),
        hash_fits=_hash_fits(file),
        metadata=file.metadata,
        tags=_tags(file.metadata.get("ss_tag_frequency", "")),
    )


def _architecture(file: LoraFile) -> str:
    if any(name.startswith(("lora_te2_", "text_encoder_2.")) for name in file.tensors):
        return "SDXL"
    widths = {
        array.shape[1]
        for name, array in file.tensors.items()
        if re.search(r"attn2[._]to_k.*(lora_down|lora_A|lora\.down)", name) and array.ndim > 1
    }
    return {_SDXL_WIDTH: "SDXL", 768: "SD 1.5", 1024: "SD 2"}.get(max(widths, default=0), "SD")


def _kind(file: LoraFile) -> str:
    for ending, kind in _KINDS.items():
        if any(ending in name for name in file.tensors):
            return kind
    wide = (array.ndim > _CONV_SIDES and max(array.shape[2:]) > 1 for array in file.tensors.values())
    return "LoCon" if any(wide) else "LoRA"


def _parts(file: LoraFile) -> tuple[Part, ...]:
    parts: dict[str, Part] = {}
    squares: dict[str, list[float]] = {}
    for name, down in file.tensors.items():
        up = file.tensors.get(name.replace("lora_down", "lora_up").replace("lora_A", "lora_B").replace("lora.down", "lora.up"))
        found = _PART.match(name)
        if not found or up is None or up is down:
            continue
        part = parts.setdefault(found[1] or found[2], Part(found[1] or found[2]))
        rank = down.shape[0]
        alpha = file.tensors.get(f"{name.removesuffix('.lora_down.weight')}.alpha")
        scale = float(alpha) / rank if alpha is not None else 1.0
        part.modules += 1
        part.ranks[rank] = part.ranks.get(rank, 0) + 1
        part.scales[round(scale, 4)] = part.scales.get(round(scale, 4), 0) + 1
        product = up.reshape(up.shape[0], -1)[:, :rank].astype(np.float32) @ down.reshape(rank, -1).astype(np.float32)
        squares.setdefault(part.name, []).append(float(np.mean(product**2)) * scale**2)
    for name, part in parts.items():
        part.strength = float(np.sqrt(np.mean(squares[name])))
    return tuple(parts.values())


def _hash_fits(file: LoraFile) -> bool | None:
    told = file.metadata.get("sshs_model_hash", "")
    return told == file.payload_sha256 if told and file.payload_sha256 else None


def _tags(told: str) -> tuple[tuple[str, int], ...]:
    """sd-scripts counts tags by the folder they came from."""
    try:
        folders = json.loads(told)
        counts: Counter[str] = Counter()
        for tags in folders.values():
            counts.update({str(tag).strip(): int(count) for tag, count in tags.items()})
    except (ValueError, AttributeError, TypeError):
        return ()
    return tuple(counts.most_common(20))
