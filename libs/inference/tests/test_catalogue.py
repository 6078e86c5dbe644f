"""What the shipped catalogue promises."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from kyara.curator.v1.curator_pb2 import PackageParams
from kyara.detector.v1.detector_pb2 import DetectParams, Threshold
from kyara_inference import ModelMissing, UnknownModel, catalogue, digests_of, local_path
from kyara_inference.builtin_digests import builtin_digests

MINIATURE = {"miniature-detector", "miniature-ccip", "miniature-tagger", "miniature-clip", "miniature-base"}


def test_the_five_miniature_models_are_built_in_and_all_others_are_on_a_hub() -> None:
    assert {name for name, entry in catalogue().items() if entry.builtin} == MINIATURE
    assert all(entry.repo for name, entry in catalogue().items() if name not in MINIATURE)


def test_names_on_the_server_are_those_of_the_contract() -> None:
    served = {name: [one.name for one in entry.served()] for name, entry in catalogue().items()}
    ccip = "ccip-caformer-24-randaug-pruned"
    assert served[ccip] == [f"{ccip}-feat", f"{ccip}-metrics"]
    assert served["person_detect_v1.1_m"] == ["person_detect_v1.1_m"]
    assert served["miniature-ccip"] == ["miniature-ccip-feat", "miniature-ccip-metrics"]
    assert served["clip-vit-base-patch32"] == ["clip-vit-base-patch32-image", "clip-vit-base-patch32-text"]
    assert served["miniature-base"] == []


@pytest.mark.parametrize(
    ("production", "miniature"),
    [("face_detect_v1.4_s", "miniature-detector"), ("wd-swinv2-tagger-v3", "miniature-tagger")]
    + [(name, f"miniature-{entry.kind}") for name, entry in catalogue().items() if entry.kind in ("ccip", "clip")],
)
def test_a_miniature_model_takes_and_gives_what_the_production_model_does(production: str, miniature: str) -> None:
    theirs, ours = catalogue()[production].served(), catalogue()[miniature].served()
    assert [(one.takes, one.inputs) for one in ours] == [(one.takes, one.inputs) for one in theirs]
    assert [list(one.outputs) for one in ours] == [list(one.outputs) for one in theirs]


def test_an_unknown_name_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(UnknownModel, match="miniature-detector"):
        catalogue()["yolo"]
    with pytest.raises(UnknownModel, match="is a detector model"):
        catalogue().ccip("face_detect_v1.4_s")


def test_a_model_that_was_not_fetched_is_missing_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="kyara models pull face_detect"):
        local_path("face_detect_v1.4_s", tmp_path)


def test_a_client_loads_no_runtime_and_no_drawing_library() -> None:
    program = "import sys, kyara_inference; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"onnxruntime", "tokenizers", "torch", "kyara_miniature", "kyara_stage"} & set(loaded)


def test_the_catalogue_says_of_the_built_in_models_what_their_files_say() -> None:
    detector = catalogue().detector("miniature-detector")
    meta = onnxruntime.InferenceSession(local_path("miniature-detector") / "model.onnx").get_modelmeta()
    assert json.loads(meta.custom_metadata_map["imgsz"]) == list(detector.imgsz)
    assert ast.literal_eval(meta.custom_metadata_map["names"]) == dict(enumerate(detector.classes))
    for name in MINIATURE:
        for served in catalogue()[name].served():
            session = onnxruntime.InferenceSession(local_path(name) / served.path)
            shapes = {node.name: _fixed(node.shape) for node in session.get_inputs()}
            assert shapes == served.inputs
            assert served.outputs.keys() <= {node.name for node in session.get_outputs()}
    labels = catalogue().tagger("miniature-tagger").labels()
    assert {category for _, category in labels} >= {0, 9}
    assert 0 < catalogue().ccip("miniature-ccip").threshold < 1
    clip, meta = catalogue().clip("miniature-clip"), json.loads((local_path("miniature-clip") / "meta.json").read_text())
    assert (clip.size, clip.width) == (meta["image_size"], meta["text_embedding_width"])


def _fixed(shape: list[int | str]) -> tuple[int, ...]:
    return tuple(side if isinstance(side, int) else -1 for side in shape)


def test_the_catalogue_knows_the_bytes_of_the_built_in_models() -> None:
    """After training a model anew: python -m kyara_inference.builtin_digests"""
    known = {entry.builtin: entry.digest for entry in catalogue().values() if entry.builtin}
    assert known == builtin_digests()


def test_a_pinned_model_has_a_digest_and_another_has_none() -> None:
    assert all(bool(entry.digest) == entry.pinned for entry in catalogue().values())


def test_params_name_their_models_at_any_depth() -> None:
    kinds = [Threshold(kind=kind, model="miniature-detector") for kind in ("person", "face")]
    assert set(digests_of(DetectParams(kinds=kinds))) == {"miniature-detector"}
    params = PackageParams(tagger_model="miniature-tagger", detector_model="miniature-detector", trigger="model")
    assert set(digests_of(params)) == {"miniature-tagger", "miniature-detector"}
    with pytest.raises(UnknownModel, match="'other'"):
        digests_of(PackageParams(tagger_model="other"))
