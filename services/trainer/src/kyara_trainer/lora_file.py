"""Torch's tensors as the files that the community reads: the same bytes every time, and no time of day in them.

The names and hashes in them are those of kohya-ss/sd-scripts (`ss_*`, `sshs_*`) and of Stability AI's ModelSpec 1.0.0
(`modelspec.*`).
"""

from collections.abc import Mapping

import ml_dtypes
import numpy as np
import torch

from kyara_lora import LoraFile, packed, write


def lora_file(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> bytes:
    """A LoRA file of `tensors` and `metadata`, to which the hashes that readers show are added."""
    return write(LoraFile(_arrays(tensors), dict(metadata)))


def safetensors_bytes(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> bytes:
    """A file of `tensors` and `metadata` alone."""
    return packed(_arrays(tensors), metadata)


def _arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: _array(tensor.detach().cpu().contiguous()) for name, tensor in tensors.items()}


def _array(tensor: torch.Tensor) -> np.ndarray:
    """NumPy has no bfloat16 of its own, so torch does not hand it over."""
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()
