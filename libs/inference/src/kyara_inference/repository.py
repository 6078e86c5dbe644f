"""Triton's model repository out of the catalogue: `python -m kyara_inference.repository FOLDER [MODELS]`.

Every ONNX file that is on this machine, of the built-in models and of those that were pulled to MODELS, becomes
`FOLDER/<name>/1/model.onnx` with a `config.pbtxt` beside it. A model appears whole or not at all, so that a Triton that
polls the folder never loads half of one; what is there and right stays untouched.
"""

import filecmp
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from kyara_inference.catalogue import ModelMissing, Served, catalogue, default_models_dir, folder_of

# tritonclient's messages are built at run time and have no types.
pb: Any = model_config_pb2
MAX_BATCH = 64
"""As the embedded server's, which clients may count on."""
QUEUE_DELAY_US = 2000
"""How long a request waits for others to be run with; much less than a run takes."""


def fill(repository: Path, models: Path) -> Iterator[str]:
    """Put every model that is here into `repository`; gives the names of those that were new or had changed."""
    staging = repository.with_name(f"{repository.name}.part")
    repository.mkdir(parents=True, exist_ok=True)
    for entry in catalogue().values():
        try:
            folder = folder_of(entry, models)
        except ModelMissing:
            continue
        for served in entry.served():
            shutil.rmtree(staging, ignore_errors=True)
            if not _is_there(repository / served.name, served, folder / served.path):
                _write(staging / served.name, served, folder / served.path)
                shutil.rmtree(repository / served.name, ignore_errors=True)
                (staging / served.name).rename(repository / served.name)
                yield served.name
    shutil.rmtree(staging, ignore_errors=True)


def config(served: Served) -> str:
    """The text of a model's config.pbtxt."""
    message = pb.ModelConfig(
        name=served.name,
        backend="onnxruntime",
        max_batch_size=MAX_BATCH if served.batched else 0,
        input=[pb.ModelInput(name=name, data_type=pb.TYPE_FP32, dims=dims) for name, dims in _dims(served, served.inputs)],
        output=[pb.ModelOutput(name=name, data_type=pb.TYPE_FP32, dims=dims) for name, dims in _dims(served, served.outputs)],
    )
    if served.batched:
        message.dynamic_batching.max_queue_delay_microseconds = QUEUE_DELAY_US
    return text_format.MessageToString(message)


def _dims(served: Served, tensors: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Shapes as Triton writes them: the first dimension of a batched model goes without saying."""
    for name, shape in tensors.items():
        yield name, shape[1:] if served.batched else shape


def _is_there(folder: Path, served: Served, model: Path) -> bool:
    kept, settings = folder / "1" / "model.onnx", folder / "config.pbtxt"
    if not (kept.is_file() and settings.is_file()):
        return False
    return settings.read_text() == config(served) and filecmp.cmp(kept, model, shallow=False)


def _write(folder: Path, served: Served, model: Path) -> None:
    (folder / "1").mkdir(parents=True)
    shutil.copyfile(model, folder / "1" / "model.onnx")
    (folder / "config.pbtxt").write_text(config(served))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m kyara_inference.repository FOLDER [MODELS]")
    for name in fill(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else default_models_dir()):
        print(f"put {name} into {sys.argv[1]}", flush=True)
