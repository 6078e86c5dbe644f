"""The community's LoRA file: safetensors with the metadata that its readers look for, the same bytes every time.

The names and hashes are those of kohya-ss/sd-scripts (`ss_*`, `sshs_*`) and of Stability AI's ModelSpec 1.0.0
(`modelspec.*`). No time of day is in it, so that the same training gives the same file.
"""

import hashlib
import json
import struct
from collections.abc import Mapping

import torch

_DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
_LEGACY_OFFSET, _LEGACY_LENGTH = 0x100000, 0x10000


def lora_file(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> bytes:
    """A LoRA file of `tensors` and `metadata`, to which the hashes that readers show are added."""
    training = {name: value for name, value in metadata.items() if name.startswith("ss_")}
    bare = safetensors_bytes(tensors, training)
    model_hash = hashlib.sha256(bare[8 + struct.unpack("<Q", bare[:8])[0] :]).hexdigest()
    legacy = hashlib.sha256(bare[_LEGACY_OFFSET : _LEGACY_OFFSET + _LEGACY_LENGTH]).hexdigest()[:8]
    hashes = {"sshs_model_hash": model_hash, "sshs_legacy_hash": legacy, "modelspec.hash_sha256": f"0x{model_hash}"}
    return safetensors_bytes(tensors, {**metadata, **hashes})


def safetensors_bytes(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> bytes:
    """The safetensors format with everything in the order of its names.

    The library's own writer puts the metadata in the order of a randomly seeded hash map.
    """
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    parts: list[bytes] = []
    offset = 0
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        data = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        end = offset + len(data)
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        parts.append(data)
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)
