"""The `onnxruntime` backend in Python, for a Triton that ships without it: runs unchanged repositories on the CPU.

Triton loads this as `backends/onnxruntime/model.py`. It opens each model as the embedded server does, with as many threads,
and runs what the dynamic batcher put together in one go.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

# Triton puts it there; it lies in no package.
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]


class TritonPythonModel:
    """One instance of one model."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Nothing is left out of a config.pbtxt of ours."""
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Open the file of the version that is asked for."""
        config = json.loads(args["model_config"])
        self._batched = config["max_batch_size"] > 0
        self._inputs = [each["name"] for each in config["input"]]
        self._outputs = [each["name"] for each in config["output"]]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, (os.cpu_count() or 2) // 2)
        options.inter_op_num_threads = 1
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """One run for all requests of a batched model, one for each of another."""
        try:
            return list(self._together(requests) if self._batched else self._one_by_one(requests))
        except Exception as error:
            # Triton tells the callers.
            refused = pb_utils.TritonError(f"onnx runtime error: {error}")
            return [pb_utils.InferenceResponse(error=refused) for _ in requests]

    def _together(self, requests: list[Any]) -> Iterator[Any]:
        values = [self._read(request) for request in requests]
        counts = [len(value[self._inputs[0]]) for value in values]
        found = self._run({name: np.concatenate([value[name] for value in values]) for name in self._inputs})
        start = 0
        for count in counts:
            yield self._answer([output[start : start + count] for output in found])
            start += count

    def _one_by_one(self, requests: list[Any]) -> Iterator[Any]:
        for request in requests:
            yield self._answer(self._run(self._read(request)))

    def _run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(value) for value in self._session.run(self._outputs, inputs)]

    def _read(self, request: Any) -> dict[str, np.ndarray]:
        return {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs}

    def _answer(self, values: list[np.ndarray]) -> Any:
        tensors = [pb_utils.Tensor(name, np.ascontiguousarray(value)) for name, value in zip(self._outputs, values, strict=True)]
        return pb_utils.InferenceResponse(output_tensors=tensors)
