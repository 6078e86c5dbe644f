"""ONNX models in this process: opened when first asked for, run with a fixed number of threads."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from kyara_inference.catalogue import Catalogue, ModelMissing, Served, UnknownModel, folder_of

MAX_BATCH = 64


class BadRequest(ValueError):
    """The inputs do not fit the model; the message says which and how."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of an open model; -1 in the shape is any."""

    name: str
    dtype: str
    """As KServe writes it, for example FP32."""
    shape: tuple[int, ...]


_KSERVE = {"tensor(float)": "FP32", "tensor(float16)": "FP16", "tensor(int64)": "INT64", "tensor(uint8)": "UINT8"}


class Model:
    """One open ONNX file."""

    def __init__(self, served: Served, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.served = served
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = tuple(_tensor(node) for node in self._session.get_inputs())
        self.outputs = tuple(_tensor(node) for node in self._session.get_outputs())
        self.batched = served.batched and all(tensor.shape[:1] == (-1,) for tensor in (*self.inputs, *self.outputs))
        """Whether any number of samples may be asked for at once; some files were exported for one at a time."""

    def run(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """The named outputs, or all when none is named. Raises BadRequest."""
        self._check(inputs, outputs)
        names = list(outputs) or [tensor.name for tensor in self.outputs]
        try:
            return [np.asarray(value) for value in self._session.run(names, dict(inputs))]
        except Exception as error:
            # onnxruntime's own exceptions share no public base class; what is left after the check is a shape that
            # only the graph knows of, for example a side that is no multiple of 32.
            raise BadRequest(f"{self.served.name} cannot be run on these inputs: {error}") from error

    def _check(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> None:
        name = self.served.name
        wanted = {tensor.name: tensor for tensor in self.inputs}
        if inputs.keys() != wanted.keys():
            raise BadRequest(f"{name} takes the inputs {sorted(wanted)}, not {sorted(inputs)}")
        for tensor in self.inputs:
            shape = inputs[tensor.name].shape
            fits = len(shape) == len(tensor.shape) and all(
                want in (-1, got) for want, got in zip(tensor.shape, shape, strict=True)
            )
            if not fits:
                raise BadRequest(f"{name} takes {tensor.name} as {list(tensor.shape)}, not {list(shape)}")
            if self.batched and not 1 <= shape[0] <= MAX_BATCH:
                raise BadRequest(f"{name} takes 1 to {MAX_BATCH} samples at once, not {shape[0]}")
        known = [tensor.name for tensor in self.outputs]
        for output in outputs:
            if output not in known:
                raise BadRequest(f"{name} has the outputs {known}, not {output!r}")


class Engine:
    """Every model of a catalogue whose files are here, by its name on the server."""

    def __init__(self, catalogue: Catalogue, models: Path, threads: int) -> None:
        self._entries = {served.name: (entry, served) for entry in catalogue.values() for served in entry.served()}
        self._models = models
        self._threads = threads
        self._open: dict[str, Model] = {}
        self._opening = threading.Lock()

    def names(self) -> list[str]:
        """Models that could answer now."""
        return sorted(name for name in self._entries if self.has(name))

    def has(self, name: str) -> bool:
        """Whether this model could answer now."""
        try:
            return name in self._entries and folder_of(self._entries[name][0], self._models).is_dir()
        except ModelMissing:
            return False

    def model(self, name: str) -> Model:
        """An open model. Raises UnknownModel, ModelMissing."""
        if name not in self._entries:
            raise UnknownModel(f"no model {name!r} is served here; there are {', '.join(self.names())}")
        with self._opening:
            if name not in self._open:
                entry, served = self._entries[name]
                self._open[name] = Model(served, folder_of(entry, self._models) / served.path, self._threads)
            return self._open[name]


def _tensor(node: onnxruntime.NodeArg) -> Tensor:
    shape = tuple(side if isinstance(side, int) else -1 for side in node.shape)
    return Tensor(node.name, _KSERVE[node.type], shape)
