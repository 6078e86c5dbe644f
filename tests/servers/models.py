"""Tiny ONNX models with random weights and the contracts of the production ones, laid out as `kyara models pull` does.

They find nothing sensible; they are there to show that two implementations say the same about the same file.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TAGS = [("general", 9), ("sensitive", 9), ("questionable", 9), ("explicit", 9)]
TAGS += [(f"tag_{n}", 0) for n in range(40)] + [("someone_(series)", 4), ("someone_else_(series)", 4)]


def write_detector(folder: Path, classes: Sequence[str], imgsz: int, seed: int = 0, samples: str | int = "b") -> None:
    """A YOLO contract: one box for each 32 px cell, anywhere in the picture, in any number of pictures or in so many."""
    channels = 4 + len(classes)
    constants = {
        "w": _weights(seed, (channels, 3, 32, 32), 2.0 / 32),
        "scale": np.array([imgsz, imgsz, imgsz / 3, imgsz / 3] + [1.0] * len(classes), np.float32).reshape(1, -1, 1),
        "shape": np.array([0, channels, -1], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["cells"], strides=[32, 32]),
        helper.make_node("Reshape", ["cells", "shape"], ["flat"]),
        helper.make_node("Sigmoid", ["flat"], ["unit"]),
        helper.make_node("Mul", ["unit", "scale"], ["output0"]),
    ]
    meta = {
        "names": str(dict(enumerate(classes))),
        "imgsz": json.dumps([imgsz, imgsz]),
        "stride": "32",
        "task": "detect",
    }
    images = ("images", [samples, 3, "h", "w"])
    _save(folder / "model.onnx", nodes, constants, [images], [("output0", [samples, channels, "n"])], meta)


def write_ccip(folder: Path, seed: int = 0) -> None:
    """A CCIP contract: features from 32 px cells, and (1 - cosine) / 2 as the difference."""
    feature = [
        helper.make_node("Conv", ["input", "w"], ["cells"], strides=[32, 32]),
        helper.make_node("Flatten", ["cells"], ["flat"]),
        helper.make_node("Gemm", ["flat", "m"], ["output"]),
    ]
    constants = {"w": _weights(seed, (8, 3, 32, 32), 1 / 32), "m": _weights(seed + 1, (8 * 144, 768), 1 / 32)}
    pixels = ("input", ["b", 3, 384, 384])
    _save(folder / "model_feat.onnx", feature, constants, [pixels], [("output", ["b", 768])])
    metric = [
        helper.make_node("LpNormalization", ["input"], ["unit"], axis=1, p=2),
        helper.make_node("Transpose", ["unit"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["unit", "turned"], ["cosine"]),
        helper.make_node("Sub", ["one", "cosine"], ["twice"]),
        helper.make_node("Mul", ["twice", "half"], ["output"]),
    ]
    numbers = {"one": np.array(1, np.float32), "half": np.array(0.5, np.float32)}
    _save(folder / "model_metrics.onnx", metric, numbers, [("input", ["n", 768])], [("output", ["n", "n"])])
    (folder / "metrics.json").write_text(json.dumps({"threshold": 0.17}))


def write_classifier(folder: Path, labels: Sequence[str], seed: int = 0) -> None:
    """The contract of deepghs' classifiers of whole pictures: a probability for each label."""
    constants = {"w": _weights(seed, (len(labels), 3, 32, 32), 1 / 32), "axes": np.array([2, 3], np.int64)}
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["cells"], strides=[32, 32]),
        helper.make_node("ReduceMean", ["cells", "axes"], ["logits"], keepdims=0),
        helper.make_node("Softmax", ["logits"], ["output"], axis=1),
    ]
    _save(folder / "model.onnx", nodes, constants, [("input", ["b", 3, 384, 384])], [("output", ["b", len(labels)])])
    (folder / "meta.json").write_text(json.dumps({"labels": list(labels)}))


def write_tagger(folder: Path, seed: int = 0) -> None:
    """A WD14 contract, with the second output that imgutils reads."""
    constants = {
        "w": _weights(seed, (16, 3, 32, 32), 1 / (32 * 64)),
        "m": _weights(seed + 1, (16, len(TAGS)), 3.0),
        "axes": np.array([2, 3], np.int64),
    }
    nodes = [
        helper.make_node("Transpose", ["input"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["nchw", "w"], ["cells"], strides=[32, 32]),
        helper.make_node("Tanh", ["cells"], ["bent"]),
        helper.make_node("ReduceMean", ["bent", "axes"], ["embedding"], keepdims=0),
        helper.make_node("MatMul", ["embedding", "m"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["output"]),
    ]
    outputs = [("output", ["b", len(TAGS)]), ("embedding", ["b", 16])]
    _save(folder / "model.onnx", nodes, constants, [("input", ["b", 448, 448, 3])], outputs)
    rows = [f"{number},{name},{category},1" for number, (name, category) in enumerate(TAGS)]
    (folder / "selected_tags.csv").write_text("\n".join(["tag_id,name,category,count", *rows]) + "\n")


def write_models(models: Path) -> Path:
    """One detector, one CCIP model and one tagger under the names of production ones; gives `models`."""
    write_detector(models / "face_detect_v1.4_s", ["face"], 640)
    write_detector(models / "person_detect_v1.1_m", ["person"], 640, seed=1)
    write_ccip(models / "ccip-caformer-24-randaug-pruned")
    write_tagger(models / "wd-swinv2-tagger-v3")
    return models


def _weights(seed: int, shape: tuple[int, ...], scale: float) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    inputs: list[tuple[str, list[str | int]]],
    outputs: list[tuple[str, list[str | int]]],
    meta: dict[str, str] | None = None,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, meta or {})
    onnx.save(model, str(path))
