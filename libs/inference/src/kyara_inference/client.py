"""The KServe v2 client: tensors to a model on an inference server and back, the embedded one or Triton."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

T = TypeVar("T")

# Below the 16 MB that Kyara's servers take in one message.
MAX_REQUEST_BYTES = 12 << 20
TIMEOUT_S = 300.0
_AWAY = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED")


class InferenceError(Exception):
    """The server refused the request; trying again does not help."""


class InferenceUnavailable(InferenceError):
    """The server is away or too busy; trying again later may help."""


class Inference:
    """A connection to an inference server.

    `models` is where files of fetched models lie that a client needs itself: the names of a tagger's tags.
    """

    def __init__(self, address: str, models: Path | None = None) -> None:
        self.address = address
        self.models = models
        self._client = InferenceServerClient(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def ready(self, model: str) -> bool:
        """Whether the server can answer for `model`, a name as in `Served`. Raises InferenceUnavailable."""
        try:
            return bool(self._client.is_model_ready(model, client_timeout=TIMEOUT_S))
        except InferenceServerException as error:
            raise self._explained(model, error) from error

    def infer(self, model: str, inputs: Mapping[str, np.ndarray], output: str) -> np.ndarray:
        """One output of one model. Raises InferenceError, InferenceUnavailable."""
        tensors = []
        for name, value in inputs.items():
            tensor = InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype))
            tensor.set_data_from_numpy(np.ascontiguousarray(value))
            tensors.append(tensor)
        try:
            answer = self._client.infer(model, tensors, outputs=[InferRequestedOutput(output)], client_timeout=TIMEOUT_S)
        except InferenceServerException as error:
            raise self._explained(model, error) from error
        found = answer.as_numpy(output) if answer else None
        if found is None:
            raise InferenceError(f"{model} on {self.address} answered without its output {output!r}")
        return found

    def _explained(self, model: str, error: InferenceServerException) -> InferenceError:
        text = f"{error.message()} (asking the inference server at {self.address} for {model})"
        away = any(word in str(error.status()) for word in _AWAY)
        return InferenceUnavailable(text) if away else InferenceError(text)


def batches(items: Sequence[T], item_bytes: int) -> Iterator[Sequence[T]]:
    """`items` in order, as many at a time as one request may carry."""
    count = max(1, MAX_REQUEST_BYTES // item_bytes)
    for start in range(0, len(items), count):
        yield items[start : start + count]
