"""The safetensors container, as NumPy arrays: nothing in it is run, and every length is checked before it is used."""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, deserialize

LARGEST = 4 << 30
"""Bytes; the largest LoRA that people share is under 2 GiB, and a checkpoint is none."""
_DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_LEGACY_OFFSET, _LEGACY_LENGTH = 0x100000, 0x10000
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")

Tensors = dict[str, np.ndarray]


class BadFile(ValueError):
    """The file is no LoRA that can be read; the message says why and what to do."""


@dataclass(frozen=True)
class LoraFile:
    """What a file holds: arrays by name, and its metadata."""

    tensors: Tensors
    metadata: dict[str, str]
    payload_sha256: str = ""
    """Of the tensors as they lie in the file: sd-scripts' `sshs_model_hash`. Empty for what was not read from one."""


def read(path: Path) -> LoraFile:
    """The file at `path`. Raises BadFile, OSError."""
    size = path.stat().st_size
    if size > LARGEST:
        raise BadFile(f"{path}: {size} bytes are no LoRA; at most {LARGEST} are read")
    data = path.read_bytes()
    # The length of a safetensors header may look like the beginning of a pickle; then comes the header itself.
    if data.startswith(_PICKLES) and data[8:9] != b"{":
        raise BadFile(
            f"{path}: this is a pickle, which runs whatever its maker put into it; ask for a .safetensors, or convert it on a "
            "machine that you can lose: safetensors.torch.save_file(torch.load(file, weights_only=True), out)"
        )
    try:
        found = deserialize(data)
    except SafetensorError as error:
        raise BadFile(f"{path}: no safetensors file, or cut short: {error}") from error
    payload = data[8 + struct.unpack("<Q", data[:8])[0] :]
    # The library gives them in the order of a randomly seeded hash.
    tensors = {name: _array(path, name, each) for name, each in sorted(found, key=lambda pair: pair[0])}
    return LoraFile(tensors, _metadata(data), hashlib.sha256(payload).hexdigest())


def write(file: LoraFile) -> bytes:
    """The file's bytes, with the hashes that readers show; the same content gives the same bytes."""
    training = {name: value for name, value in file.metadata.items() if name.startswith("ss_")}
    bare = packed(file.tensors, training)
    model_hash = hashlib.sha256(bare[8 + struct.unpack("<Q", bare[:8])[0] :]).hexdigest()
    legacy = hashlib.sha256(bare[_LEGACY_OFFSET : _LEGACY_OFFSET + _LEGACY_LENGTH]).hexdigest()[:8]
    hashes = {"sshs_model_hash": model_hash, "sshs_legacy_hash": legacy, "modelspec.hash_sha256": f"0x{model_hash}"}
    return packed(file.tensors, {**file.metadata, **hashes})


def packed(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file with everything in the order of its names: the library's own writer puts the metadata in the order of
    a randomly seeded hash map.
    """
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    parts: list[bytes] = []
    offset = 0
    for name, array in sorted(tensors.items()):
        data = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        parts.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def _array(path: Path, name: str, each: dict[str, object]) -> np.ndarray:
    dtype = _DTYPES.get(str(each["dtype"]))
    if dtype is None:
        raise BadFile(f"{path}: {name} holds numbers of the kind {each['dtype']}, which is not known here")
    return np.frombuffer(each["data"], dtype).reshape(each["shape"])  # type: ignore[call-overload]


def _metadata(data: bytes) -> dict[str, str]:
    # `deserialize` has checked the header's length and form, and gives all of it but this.
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]).get("__metadata__", {})
