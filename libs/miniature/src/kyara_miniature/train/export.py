"""Writing what was trained: ONNX files and the card that says how a model came about and how good it is."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

OPSET = 17


def write_onnx(
    network: nn.Module,
    example: Tensor | tuple[Tensor, ...],
    path: Path,
    *,
    inputs: dict[str, dict[int, str]],
    outputs: dict[str, dict[int, str]],
    metadata: dict[str, str] | None = None,
) -> None:
    """Export `network` with named inputs and outputs, each with its dynamic axes, and metadata in the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # The exporter by tracing is deprecated, but the newer one needs a further package and says no more.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            example if isinstance(example, tuple) else (example,),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={**inputs, **outputs},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(str(path))
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """`card.json`: the seed, the sizes, the minutes and the measured quality of the model in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")


def parameters(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(p.numel() for p in network.parameters())
