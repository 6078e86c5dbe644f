"""What Triton, and whoever asks the embedded server as if it were one, is told of a model: its ModelConfig."""

from typing import Any

from tritonclient.grpc import model_config_pb2

from kyara_inference.engine import Model, Tensor

# tritonclient's messages are built at run time and have no types.
pb: Any = model_config_pb2


def model_config(model: Model, max_batch: int) -> Any:
    """Names, types and shapes as the model's own file has them.

    The first dimension of a model that takes up to `max_batch` samples at once goes without saying; any other model has
    max_batch_size 0 and whole shapes.
    """
    return pb.ModelConfig(
        name=model.served.name,
        backend="onnxruntime",
        max_batch_size=max_batch if model.batched else 0,
        input=[pb.ModelInput(**_dims(tensor, model.batched)) for tensor in model.inputs],
        output=[pb.ModelOutput(**_dims(tensor, model.batched)) for tensor in model.outputs],
    )


def _dims(tensor: Tensor, batched: bool) -> dict[str, Any]:
    shape = tensor.shape[1:] if batched else tensor.shape
    return {"name": tensor.name, "data_type": f"TYPE_{tensor.dtype}", "dims": shape}
