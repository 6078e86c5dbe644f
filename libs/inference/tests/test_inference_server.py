"""What the embedded server promises to any KServe v2 client."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import PIL.Image
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.grpc import InferenceServerClient

from kyara_inference import Inference, InferenceError, InferenceUnavailable, KindThreshold, detect
from tests.servers.inference import inference_server
from tests.servers.models import write_detector, write_models
from tests.servers.processes import Server, free_port

FACE = "face_detect_v1.4_s"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with inference_server(folder, write_models(folder / "models")) as started:
        yield started


@pytest.fixture
def inference(server: Server) -> Iterator[Inference]:
    with Inference(server.address) as connection:
        yield connection


def test_triton_s_own_client_finds_everything_it_asks_for(server: Server) -> None:
    client = InferenceServerClient(server.address)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(FACE)
    assert not client.is_model_ready("head_detect_v2.0_s")
    index = client.get_model_repository_index(as_json=True)
    assert index
    assert {"ccip-caformer-24-randaug-pruned-feat", FACE} <= {model["name"] for model in index["models"]}
    metadata = client.get_model_metadata(FACE, as_json=True)
    assert metadata
    assert metadata["inputs"] == [{"name": "images", "datatype": "FP32", "shape": ["-1", "3", "-1", "-1"]}]
    config = client.get_model_config(FACE, as_json=True)
    assert config
    assert config["config"]["max_batch_size"] == 64
    client.close()


def test_health_and_reflection_answer(server: Server) -> None:
    with grpc.insecure_channel(server.address) as channel:
        service = "inference.GRPCInferenceService"
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert service in ProtoReflectionDescriptorDatabase(channel).get_services()


def test_the_same_request_gets_the_same_bytes(inference: Inference) -> None:
    pixels = np.random.default_rng(2).random((3, 3, 320, 320), np.float32)
    first, second = (inference.infer(FACE, {"images": pixels}, "output0") for _ in range(2))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    ("model", "inputs", "output", "complaint"),
    [
        ("nobody", {"x": np.zeros(1, np.float32)}, "y", "no model 'nobody' is served here"),
        ("head_detect_v2.0_s", {"x": np.zeros(1, np.float32)}, "y", "kyara models pull head_detect_v2.0_s"),
        (FACE, {"pixels": np.zeros((1, 3, 64, 64), np.float32)}, "output0", "takes the inputs"),
        (FACE, {"images": np.zeros((1, 4, 64, 64), np.float32)}, "output0", "takes images as"),
        (FACE, {"images": np.zeros((3, 64, 64), np.float32)}, "output0", "takes images as"),
        (FACE, {"images": np.zeros((1, 3, 64, 64), np.float64)}, "output0", "as FP32, not 'FP64'"),
        (FACE, {"images": np.zeros((1, 3, 10, 64), np.float32)}, "output0", "cannot be run on these inputs"),
        (FACE, {"images": np.zeros((65, 3, 32, 32), np.float32)}, "output0", "1 to 64 samples"),
        (FACE, {"images": np.zeros((0, 3, 32, 32), np.float32)}, "output0", "1 to 64 samples"),
        (FACE, {"images": np.zeros((1, 3, 32, 32), np.float32)}, "boxes", "has the outputs"),
    ],
)
def test_a_wrong_request_is_refused_with_the_reason(
    inference: Inference, model: str, inputs: dict[str, np.ndarray], output: str, complaint: str
) -> None:
    with pytest.raises(InferenceError, match=complaint) as caught:
        inference.infer(model, inputs, output)
    assert not isinstance(caught.value, InferenceUnavailable)


def test_a_model_for_one_picture_at_a_time_is_asked_for_one_at_a_time(tmp_path: Path) -> None:
    write_detector(tmp_path / FACE, ["face"], 640, samples=1)
    pictures = [PIL.Image.new("RGB", (64, 64), colour) for colour in ("red", "blue", "white")]
    with inference_server(tmp_path, tmp_path) as server, Inference(server.address) as inference:
        found = detect(inference, FACE, pictures, [KindThreshold("face", 0.5, 0.5)])
        assert found == [detect(inference, FACE, [each], [KindThreshold("face", 0.5, 0.5)])[0] for each in pictures]
        assert any(found)


def test_a_server_that_is_away_is_told_from_one_that_refuses() -> None:
    with Inference(f"127.0.0.1:{free_port()}") as nobody, pytest.raises(InferenceUnavailable):
        nobody.infer(FACE, {"images": np.zeros((1, 3, 32, 32), np.float32)}, "output0")


def test_a_kind_that_the_detector_has_no_class_for_is_refused_before_anything_is_sent(inference: Inference) -> None:
    with pytest.raises(ValueError, match="knows face, not 'head'"):
        detect(inference, FACE, [], [KindThreshold("head", 0.3, 0.5)])
