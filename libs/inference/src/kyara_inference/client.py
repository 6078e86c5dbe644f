"""The KServe v2 client: tensors to a model on an inference server and back, the embedded one or Triton."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from kyara_artifacts import side_by_side

T = TypeVar("T")

# Below the 16 MB that Kyara's servers take in one message.
MAX_REQUEST_BYTES = 12 << 20
TIMEOUT_S = 300.0
IN_FLIGHT = 3
"""Requests of one call that are on their way at a time: two that a server works on, and one that waits."""
_AWAY = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED")

# No keepalive pings: Triton hangs up on a client that sends more than one in five minutes.
_CHANNEL: list[tuple[str, int | str]] = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Over all addresses behind a name, as to every other server.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    # A server that was restarted is found again within a second or two.
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
]
_TRITON_HAS_NOT = "Request for unknown model"


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
        self._client = InferenceServerClient(address, channel_args=_CHANNEL)
        self._largest: dict[str, int] = {}

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

    def batches(self, model: str, items: Sequence[T], item_bytes: int) -> Iterator[Sequence[T]]:
        """`items` in order, as many at a time as one request may carry and the server's own configuration of `model` allows.

        Raises InferenceError, InferenceUnavailable.
        """
        if not items:
            return
        count = max(1, min(MAX_REQUEST_BYTES // item_bytes, self._largest_batch(model)))
        for start in range(0, len(items), count):
            yield items[start : start + count]

    def stacks(self, model: str, items: Sequence[T], encode: Callable[[T], np.ndarray], item_bytes: int) -> Iterator[np.ndarray]:
        """[b, ...] for each of `batches`, its items encoded side by side."""
        return (np.stack(list(side_by_side(encode, some))) for some in self.batches(model, items, item_bytes))

    def infer(self, model: str, inputs: Mapping[str, np.ndarray], output: str) -> np.ndarray:
        """One output of one model. Raises InferenceError, InferenceUnavailable."""
        return next(self.infer_each(model, [inputs], output))

    def infer_each(self, model: str, requests: Iterable[Mapping[str, np.ndarray]], output: str) -> Iterator[np.ndarray]:
        """One output of one model for each of `requests`, in order. Raises InferenceError, InferenceUnavailable.

        A few requests are on their way at a time, so that the next is made while the server works on those before it.
        """
        under_way: deque[Future[InferResult]] = deque()
        for inputs in requests:
            under_way.append(self._sent(model, inputs, output))
            if len(under_way) >= IN_FLIGHT:
                yield self._answer(model, under_way.popleft(), output)
        while under_way:
            yield self._answer(model, under_way.popleft(), output)

    def _largest_batch(self, model: str) -> int:
        """Samples that the server takes in one request. A file that was exported for one sample has that in its shape."""
        if model not in self._largest:
            try:
                answer: Any = self._client.get_model_config(model, client_timeout=TIMEOUT_S)
            except InferenceServerException as error:
                raise self._explained(model, error) from error
            config = answer.config
            self._largest[model] = config.max_batch_size or config.input[0].dims[0]
        return self._largest[model]

    def _sent(self, model: str, inputs: Mapping[str, np.ndarray], output: str) -> "Future[InferResult]":
        tensors = []
        for name, value in inputs.items():
            tensor = InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype))
            tensor.set_data_from_numpy(np.ascontiguousarray(value))
            tensors.append(tensor)
        answer: Future[InferResult] = Future()

        def answered(result: InferResult | None, error: InferenceServerException | None) -> None:
            if error or result is None:
                answer.set_exception(error or InferenceServerException("no answer"))
            else:
                answer.set_result(result)

        wanted = [InferRequestedOutput(output)]
        self._client.async_infer(model, tensors, answered, outputs=wanted, client_timeout=TIMEOUT_S)
        return answer

    def _answer(self, model: str, answer: "Future[InferResult]", output: str) -> np.ndarray:
        try:
            found = answer.result().as_numpy(output)
        except InferenceServerException as error:
            raise self._explained(model, error) from error
        if found is None:
            raise InferenceError(f"{model} on {self.address} answered without its output {output!r}")
        return found

    def _explained(self, model: str, error: InferenceServerException) -> InferenceError:
        text = f"{error.message()} (asking the inference server at {self.address} for {model})"
        if error.message().startswith(_TRITON_HAS_NOT):
            text += "; `kyara models repository` puts models into the repository that Triton serves"
        away = any(word in str(error.status()) for word in _AWAY)
        return InferenceUnavailable(text) if away else InferenceError(text)
