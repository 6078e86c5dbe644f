"""KServe v2 over gRPC, the part of it that Triton and its clients share, in front of an `Engine`."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any, TypeVar

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

from kyara_inference.catalogue import ModelMissing, UnknownModel
from kyara_inference.engine import MAX_BATCH, BadRequest, Engine, Model
from kyara_inference.model_config import model_config

SERVICE = "inference.GRPCInferenceService"
PLATFORM = "onnxruntime_onnx"

# tritonclient's messages are built at run time and have no types.
pb: Any = service_pb2
T = TypeVar("T")


class InferenceServicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers from an engine; models run in `workers` threads, so that the event loop always answers health."""

    def __init__(self, engine: Engine, workers: int) -> None:
        self._engine = engine
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="onnx")

    async def ServerLive(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Always, while there is a process."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Always: models open when they are asked for."""
        return pb.ServerReadyResponse(ready=True)

    async def ModelReady(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Whether the model's files are here."""
        return pb.ModelReadyResponse(ready=self._engine.has(request.name))

    async def ServerMetadata(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Who answers."""
        return pb.ServerMetadataResponse(name="kyara-inference", version=version("kyara-inference"))

    async def RepositoryIndex(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """The models that could answer now."""
        index = pb.RepositoryIndexResponse
        return index(models=[index.ModelIndex(name=name, state="READY") for name in self._engine.names()])

    async def ModelMetadata(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Names, types and shapes of a model's inputs and outputs."""
        model = await self._do(context, lambda: self._engine.model(request.name))
        metadata = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(
            name=request.name,
            versions=["1"],
            platform=PLATFORM,
            inputs=[metadata(name=t.name, datatype=t.dtype, shape=t.shape) for t in model.inputs],
            outputs=[metadata(name=t.name, datatype=t.dtype, shape=t.shape) for t in model.outputs],
        )

    async def ModelConfig(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """The part of Triton's configuration that a client may ask for."""
        model = await self._do(context, lambda: self._engine.model(request.name))
        config = model_config(model, MAX_BATCH)
        config.platform = PLATFORM
        return pb.ModelConfigResponse(config=config)

    async def ModelInfer(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Run a model. UNKNOWN models are NOT_FOUND, inputs that do not fit INVALID_ARGUMENT, both with the reason."""
        return await self._do(context, lambda: self._infer(request))

    def _infer(self, request: Any) -> Any:
        model = self._engine.model(request.model_name)
        names = [output.name for output in request.outputs] or [tensor.name for tensor in model.outputs]
        values = model.run(_read_inputs(request, model), names)
        response = pb.ModelInferResponse(model_name=request.model_name, model_version="1", id=request.id)
        for name, value in zip(names, values, strict=True):
            response.outputs.add(name=name, datatype=np_to_triton_dtype(value.dtype), shape=value.shape)
            response.raw_output_contents.append(np.ascontiguousarray(value).tobytes())
        return response

    async def _do(self, context: grpc.aio.ServicerContext, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except BadRequest as error:
            return await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except (UnknownModel, ModelMissing) as error:
            return await context.abort(grpc.StatusCode.NOT_FOUND, str(error))


def _read_inputs(request: Any, model: Model) -> dict[str, np.ndarray]:
    """Arrays from a request's raw contents. Raises BadRequest."""
    if len(request.raw_input_contents) != len(request.inputs):
        raise BadRequest(f"{model.served.name}: send every input in raw_input_contents, as tritonclient does")
    types = {tensor.name: tensor.dtype for tensor in model.inputs}
    arrays: dict[str, np.ndarray] = {}
    for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True):
        wanted = types.get(tensor.name, tensor.datatype)
        if tensor.datatype != wanted:
            raise BadRequest(f"{model.served.name} takes {tensor.name} as {wanted}, not {tensor.datatype!r}")
        shape = list(tensor.shape)
        dtype = triton_to_np_dtype(tensor.datatype)
        if dtype is None:
            raise BadRequest(f"{model.served.name}: {tensor.name} has the unknown type {tensor.datatype!r}")
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if any(side < 0 for side in shape) or size != len(raw):
            raise BadRequest(f"{model.served.name}: {tensor.name} {shape} is {size} bytes, but {len(raw)} were sent")
        arrays[tensor.name] = np.frombuffer(raw, dtype).reshape(shape)
    return arrays
