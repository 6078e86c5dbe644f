"""Triton's model repository: what is in it, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from kyara_artifacts.folder import open_folder
from kyara_inference.catalogue import ModelEntry, ModelMissing, catalogue, local_path
from kyara_inference.model_config import pb
from kyara_inference.repository import MAX_BATCH, UnfitModel, fill
from tests.servers.models import write_ccip, write_detector, write_models

FACE = "face_detect_v1.4_s"


def entries(*names: str) -> list[ModelEntry]:
    return [catalogue()[name] for name in names]


def filled(folder: Path, models: Path, *names: str, gpu: bool = False, instances: int = 1) -> dict[str, bool]:
    return dict(fill(open_folder(str(folder)), entries(*names), models, gpu=gpu, instances=instances))


def config(folder: Path, name: str) -> Any:
    return text_format.Parse((folder / name / "config.pbtxt").read_text(), pb.ModelConfig())


def test_every_onnx_file_of_a_model_is_there_with_its_configuration(tmp_path: Path) -> None:
    assert filled(tmp_path, tmp_path, "miniature-ccip") == {"miniature-ccip-feat": True, "miniature-ccip-metrics": True}
    model = tmp_path / "miniature-ccip-feat" / "1" / "model.onnx"
    assert model.read_bytes() == (local_path("miniature-ccip") / "model_feat.onnx").read_bytes()
    features = config(tmp_path, "miniature-ccip-feat")
    assert (features.name, features.backend, features.max_batch_size) == ("miniature-ccip-feat", "onnxruntime", MAX_BATCH)
    assert [(each.name, each.data_type, list(each.dims)) for each in features.input] == [("input", pb.TYPE_FP32, [3, 384, 384])]
    assert [(each.name, each.data_type, list(each.dims)) for each in features.output] == [("output", pb.TYPE_FP32, [768])]
    assert features.dynamic_batching.max_queue_delay_microseconds > 0
    metrics = config(tmp_path, "miniature-ccip-metrics")
    assert metrics.max_batch_size == 0
    assert not metrics.HasField("dynamic_batching"), "the differences of one caller's vectors are no other caller's"
    assert list(metrics.input[0].dims) == [-1, 768]


def test_a_model_that_reads_texts_takes_whole_numbers_of_any_length(tmp_path: Path) -> None:
    assert filled(tmp_path, tmp_path, "miniature-clip") == {"miniature-clip-image": True, "miniature-clip-text": True}
    text = config(tmp_path, "miniature-clip-text")
    assert {each.name: (each.data_type, list(each.dims)) for each in text.input} == {
        "input_ids": (pb.TYPE_INT64, [-1]),
        "attention_mask": (pb.TYPE_INT64, [-1]),
    }
    assert {each.name: (each.data_type, list(each.dims)) for each in text.output}["embeddings"] == (pb.TYPE_FP32, [512])
    assert [(each.batch_size, list(each.inputs["input_ids"].dims)) for each in text.model_warmup] == [(1, [2])]


def test_instances_are_on_the_processor_or_on_graphics_cards_and_are_warm_before_the_first_request(tmp_path: Path) -> None:
    filled(tmp_path, tmp_path, "miniature-detector")
    on_cpu = config(tmp_path, "miniature-detector")
    assert [(group.kind, group.count) for group in on_cpu.instance_group] == [(pb.ModelInstanceGroup.KIND_CPU, 1)]
    assert [each.batch_size for each in on_cpu.model_warmup] == [1]
    assert list(on_cpu.model_warmup[0].inputs["images"].dims) == [3, 512, 512]
    assert filled(tmp_path, tmp_path, "miniature-detector", gpu=True, instances=2) == {"miniature-detector": True}
    on_gpu = config(tmp_path, "miniature-detector")
    assert [(group.kind, group.count) for group in on_gpu.instance_group] == [(pb.ModelInstanceGroup.KIND_GPU, 2)]
    assert [each.batch_size for each in on_gpu.model_warmup] == [1, MAX_BATCH]


def test_production_models_are_taken_from_where_they_were_pulled_to(tmp_path: Path) -> None:
    models = write_models(tmp_path / "models")
    names = (FACE, "ccip-caformer-24-randaug-pruned", "wd-swinv2-tagger-v3")
    with pytest.raises(UnfitModel, match=r"output is FP32 \[-1, 46\], but the catalogue says FP32 \[-1, 10861\]"):
        filled(tmp_path / "repository", models, *names)
    assert filled(tmp_path / "repository", models, *names[:2]).keys() == {FACE, f"{names[1]}-feat", f"{names[1]}-metrics"}
    assert list(config(tmp_path / "repository", FACE).model_warmup[0].inputs["images"].dims) == [3, 640, 640]


def test_a_file_that_was_exported_for_one_picture_is_never_given_more(tmp_path: Path) -> None:
    write_detector(tmp_path / "models" / FACE, ["face"], 640, samples=1)
    filled(tmp_path, tmp_path / "models", FACE, gpu=True)
    written = config(tmp_path, FACE)
    assert (written.max_batch_size, list(written.input[0].dims)) == (0, [1, 3, -1, -1])
    assert not written.HasField("dynamic_batching")
    assert [list(each.inputs["images"].dims) for each in written.model_warmup] == [[1, 3, 640, 640]]


def test_a_file_that_is_another_model_is_refused_with_what_differs(tmp_path: Path) -> None:
    write_detector(tmp_path / "models" / FACE, ["person", "face"], 640)
    with pytest.raises(UnfitModel, match=r"output0 is FP32 \[-1, 6, -1\], but the catalogue says FP32 \[-1, 5, -1\]"):
        filled(tmp_path / "repository", tmp_path / "models", FACE)
    write_ccip(tmp_path / "models" / FACE)
    (tmp_path / "models" / FACE / "model_feat.onnx").replace(tmp_path / "models" / FACE / "model.onnx")
    with pytest.raises(UnfitModel, match="has no tensor 'images', only input"):
        filled(tmp_path / "repository", tmp_path / "models", FACE)
    assert not (tmp_path / "repository").exists()


def test_a_model_that_is_not_here_is_said_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=f"kyara models pull {FACE}"):
        filled(tmp_path, tmp_path, FACE)


def test_filling_again_writes_only_what_has_changed(tmp_path: Path) -> None:
    names = ("miniature-tagger", "miniature-detector")
    assert filled(tmp_path, tmp_path, *names) == dict.fromkeys(names, True)
    assert filled(tmp_path, tmp_path, *names) == dict.fromkeys(names, False)
    (tmp_path / "miniature-tagger" / "1" / "model.onnx").write_bytes(b"half a mod")
    assert filled(tmp_path, tmp_path, *names) == {"miniature-tagger": True, "miniature-detector": False}
