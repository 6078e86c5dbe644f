"""Triton's model repository: what is in it, and that filling it again changes nothing."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format

from kyara_inference.catalogue import catalogue, local_path
from kyara_inference.repository import fill, pb

BUILTIN = {"miniature-detector", "miniature-ccip-feat", "miniature-ccip-metrics", "miniature-tagger"}


def read_config(folder: Path) -> Any:
    return text_format.Parse((folder / "config.pbtxt").read_text(), pb.ModelConfig())


def test_the_repository_holds_every_onnx_file_that_is_here(tmp_path: Path) -> None:
    assert set(fill(tmp_path / "repository", tmp_path / "none")) == BUILTIN
    assert {path.name for path in (tmp_path / "repository").iterdir()} == BUILTIN
    assert not (tmp_path / "repository.part").exists()
    model = tmp_path / "repository" / "miniature-ccip-feat" / "1" / "model.onnx"
    assert model.read_bytes() == (local_path("miniature-ccip") / "model_feat.onnx").read_bytes()


def test_a_config_has_the_catalogues_shapes_without_the_batch(tmp_path: Path) -> None:
    list(fill(tmp_path, tmp_path / "none"))
    features = read_config(tmp_path / "miniature-ccip-feat")
    assert features.max_batch_size > 1 and features.HasField("dynamic_batching")
    assert list(features.input[0].dims) == [3, 384, 384] and list(features.output[0].dims) == [768]
    metrics = read_config(tmp_path / "miniature-ccip-metrics")
    assert metrics.max_batch_size == 0 and not metrics.HasField("dynamic_batching")
    assert list(metrics.input[0].dims) == [-1, 768]


def test_a_pulled_model_is_served_under_its_own_name(tmp_path: Path) -> None:
    entry = catalogue()["head_detect_v2.0_s"]
    folder = tmp_path / "models" / entry.name
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"weights")
    assert entry.name in set(fill(tmp_path / "repository", tmp_path / "models"))
    assert (tmp_path / "repository" / entry.name / "1" / "model.onnx").read_bytes() == b"weights"


def test_only_what_has_changed_is_written_again(tmp_path: Path) -> None:
    list(fill(tmp_path, tmp_path / "none"))
    assert list(fill(tmp_path, tmp_path / "none")) == []
    (tmp_path / "miniature-tagger" / "1" / "model.onnx").write_bytes(b"half a mod")
    (tmp_path / "miniature-detector" / "config.pbtxt").unlink()
    assert set(fill(tmp_path, tmp_path / "none")) == {"miniature-tagger", "miniature-detector"}
