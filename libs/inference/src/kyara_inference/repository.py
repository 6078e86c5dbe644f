"""Triton's model repository out of the catalogue: `{model}/config.pbtxt` and `{model}/1/model.onnx`.

Inputs and outputs are read from each ONNX file and held against the catalogue's contract, which clients go by, so that a file
that does not fit is refused here and not by a running job.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from kyara_artifacts.folder import Folder
from kyara_inference.catalogue import DetectorEntry, ModelEntry, Served, folder_of
from kyara_inference.engine import Model, Tensor
from kyara_inference.model_config import model_config, pb

MAX_BATCH = 16
"""Samples that Triton runs together at most, of as many callers; more costs memory and gains little."""
QUEUE_DELAY_US = 2000
"""How long a request waits for others to be run with; much less than a run takes."""


class UnfitModel(ValueError):
    """An ONNX file is not what the catalogue says of it."""


def fill(folder: Folder, entries: Iterable[ModelEntry], models: Path, *, gpu: bool, instances: int) -> Iterator[tuple[str, bool]]:
    """Have the served files of `entries` in `folder`; gives each model's name on the server, and whether anything was written.

    `models` is where `kyara models pull` put them. The configuration comes after its model, so that a Triton that polls never
    finds it alone. What is in the folder beside them stays. Raises ModelMissing, UnfitModel, StoreError.
    """
    for entry in entries:
        home = folder_of(entry, models)
        for served in entry.served():
            config = config_of(entry, served, home / served.path, gpu=gpu, instances=instances)
            model_written = folder.write(f"{served.name}/1/model.onnx", home / served.path)
            config_written = folder.write(f"{served.name}/config.pbtxt", text_format.MessageToString(config).encode())
            yield served.name, model_written or config_written


def config_of(entry: ModelEntry, served: Served, path: Path, *, gpu: bool, instances: int) -> Any:
    """Triton's ModelConfig of the ONNX file at `path`. Raises UnfitModel."""
    model = Model(served, path, threads=1)
    _check(served.inputs, served.takes, model.inputs, path)
    _check(served.outputs, "FP32", model.outputs, path)
    config = model_config(model, MAX_BATCH)
    if model.batched:
        # Triton's guide advises against preferred sizes where none runs faster than its neighbours.
        config.dynamic_batching.max_queue_delay_microseconds = QUEUE_DELAY_US
    kind = pb.ModelInstanceGroup.KIND_GPU if gpu else pb.ModelInstanceGroup.KIND_CPU
    config.instance_group.add(kind=kind, count=instances)
    # A graphics card that has no room for the largest batch says so while the model loads, and not in a job.
    for size in sorted({1, config.max_batch_size}) if gpu and model.batched else [1]:
        _warm_up(config, _sample(entry, config), size)
    return config


def _warm_up(config: Any, shapes: dict[str, tuple[int, ...]], size: int) -> None:
    warm_up = config.model_warmup.add(name=f"{size} at once", batch_size=size, count=1)
    for tensor in config.input:
        value = warm_up.inputs[tensor.name]
        value.data_type, value.zero_data = tensor.data_type, True
        value.dims.extend(shapes[tensor.name])


def _sample(entry: ModelEntry, config: Any) -> dict[str, tuple[int, ...]]:
    """A shape that a client could send for each input: a detector's sides are its pictures', any other free one is 2."""
    shapes = {tensor.name: tuple(2 if side == -1 else side for side in tensor.dims) for tensor in config.input}
    if isinstance(entry, DetectorEntry):
        width, height = entry.imgsz
        shapes = {name: (*shape[:-2], height, width) for name, shape in shapes.items()}
    return shapes


def _check(contract: dict[str, tuple[int, ...]], dtype: str, tensors: tuple[Tensor, ...], path: Path) -> None:
    """Every tensor of the contract is there with that type, and takes or gives what the contract says. Raises UnfitModel."""
    found = {tensor.name: tensor for tensor in tensors}
    for name, shape in contract.items():
        tensor = found.get(name)
        if tensor is None:
            raise UnfitModel(f"{path} has no tensor {name!r}, only {', '.join(found)}; it is another model")
        fits = len(shape) == len(tensor.shape) and all(
            -1 in (want, got) or want == got for want, got in zip(shape, tensor.shape, strict=True)
        )
        if tensor.dtype != dtype or not fits:
            said = f"{path}: {name} is {tensor.dtype} {list(tensor.shape)}, but the catalogue says {dtype} {list(shape)}"
            raise UnfitModel(f"{said}; it is another model")
