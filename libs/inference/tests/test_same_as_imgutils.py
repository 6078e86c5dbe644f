"""The same file and the same picture, or text, give the same boxes, vectors and tags as dghs-imgutils, the reference."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from kyara_artifacts import Box
from kyara_inference import Inference, KindThreshold, catalogue, detect, differences, embed, local_path, tag
from kyara_inference.clip import embed_pictures, embed_texts, similarities
from kyara_miniature.scene import draw_scene
from tests.servers.hub import LocalHub
from tests.servers.inference import inference_server
from tests.servers.models import write_models

PEER = Path(__file__).with_name("imgutils_peer.py")
CCIP, TAGGER = "ccip-caformer-24-randaug-pruned", "wd-swinv2-tagger-v3"
CLIP = "clip-vit-base-patch32"
TEXTS = ["pink hair, solo, full body, maid, apron", "1girl", "", "a word_that nobody knows: zyqqa 🌸", "armor, " * 20]
DEFAULTS = {"person": (0.3, 0.5), "halfbody": (0.5, 0.7), "head": (0.4, 0.7), "face": (0.25, 0.7)}


def kind(name: str) -> KindThreshold:
    return KindThreshold(name, *DEFAULTS[name])


def ask_peer(folder: Path, hub: LocalHub, *arguments: str | Path) -> dict[str, Any]:
    environment = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, PEER, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def publish_detectors(hub: LocalHub, models: Path) -> None:
    """Put the tiny detectors where imgutils looks for the production ones."""
    for what, model in {"face": "face_detect_v1.4_s", "person": "person_detect_v1.1_m"}.items():
        data = (models / model / "model.onnx").read_bytes()
        hub.add("model", f"deepghs/anime_{what}_detection", {f"{model}/model.onnx": data})


def publish_characters(hub: LocalHub, ccip: Path, tagger: Path) -> None:
    """Put a CCIP model and a tagger where imgutils looks for the production ones."""
    names = ["model_feat.onnx", "model_metrics.onnx", "metrics.json"]
    hub.add("model", "deepghs/ccip_onnx", {f"{CCIP}/{name}": (ccip / name).read_bytes() for name in names})
    weights = {f"SmilingWolf/{TAGGER}/model.onnx": (tagger / "model.onnx").read_bytes()}
    hub.add("model", "deepghs/wd14_tagger_with_embeddings", weights)
    labels = {"selected_tags.csv": (tagger / "selected_tags.csv").read_bytes()}
    hub.add("model", f"SmilingWolf/{TAGGER}", labels)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Smooth noise in sizes below, at and above the models' own, wide and tall, one of them not a multiple of 32."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(5)
    paths = []
    for number, (width, height) in enumerate([(640, 360), (1280, 720), (333, 501), (384, 384), (90, 200), (640, 640)]):
        small = PIL.Image.fromarray(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8))
        path = folder / f"{number}.png"
        small.resize((width, height), PIL.Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, pictures: list[Path]) -> Iterator[tuple[Inference, dict[str, Any]]]:
    """A connection to a server of the tiny models, and what imgutils says of the pictures with the same files."""
    folder = tmp_path_factory.mktemp("tiny")
    models = write_models(folder / "models")
    with LocalHub() as hub:
        publish_detectors(hub, models)
        publish_characters(hub, models / CCIP, models / TAGGER)
        said = ask_peer(folder, hub, *pictures)
    with inference_server(folder, models) as server, Inference(server.address, models) as inference:
        yield inference, said


def opened(paths: Sequence[Path]) -> list[PIL.Image.Image]:
    return [PIL.Image.open(path).convert("RGB") for path in paths]


def assert_same_boxes(ours: list[list[Box]], theirs: list[list[Any]]) -> None:
    assert sum(map(len, theirs)) > 0
    for mine, peer in zip(ours, theirs, strict=True):
        assert [box.kind for box in mine] == [name for _, name, _ in peer]
        corners = np.array([[box.x0, box.y0, box.x1, box.y1] for box in mine]).reshape(-1, 4)
        assert np.abs(corners - np.array([box for box, _, _ in peer]).reshape(-1, 4)).max(initial=0) <= 1
        scores = np.array([box.score for box in mine])
        assert np.abs(scores - np.array([score for _, _, score in peer])).max(initial=0) <= 1e-3


@pytest.mark.parametrize(("model", "what"), [("face_detect_v1.4_s", "face"), ("person_detect_v1.1_m", "person")])
def test_boxes_are_those_of_imgutils(tiny: tuple[Inference, dict[str, Any]], pictures: list[Path], model: str, what: str) -> None:
    inference, said = tiny
    assert_same_boxes(detect(inference, model, opened(pictures), [kind(what)]), said["boxes"][what])


def assert_same_characters(inference: Inference, ccip: str, tagger: str, paths: Sequence[Path], said: dict[str, Any]) -> None:
    features = embed(inference, ccip, opened(paths))
    assert np.abs(features - np.array(said["features"], np.float32)).max() <= 1e-4
    assert np.abs(differences(inference, ccip, features) - np.array(said["differences"])).max() <= 1e-4
    for ours, theirs in zip(tag(inference, tagger, opened(paths), 0.35), said["tags"], strict=True):
        assert theirs
        assert ours.keys() == theirs.keys()
        assert max(abs(ours[name] - theirs[name]) for name in theirs) <= 1e-3
        assert list(ours.values()) == sorted(ours.values(), reverse=True)


def test_vectors_differences_and_tags_are_those_of_imgutils(tiny: tuple[Inference, dict[str, Any]], pictures: list[Path]) -> None:
    inference, said = tiny
    assert_same_characters(inference, CCIP, TAGGER, pictures, said)


def test_differences_in_tiles_are_those_of_one_call(tiny: tuple[Inference, dict[str, Any]]) -> None:
    inference, _ = tiny
    features = np.random.default_rng(1).standard_normal((1100, 768)).astype(np.float32)
    whole = inference.infer(f"{CCIP}-metrics", {"input": features}, "output")
    assert np.abs(differences(inference, CCIP, features) - whole).max() <= 1e-6


def test_the_miniature_models_answer_as_they_do_to_imgutils(tmp_path: Path) -> None:
    paths = []
    for seed in range(1_000_000, 1_000_006):
        paths.append(tmp_path / f"{seed}.png")
        PIL.Image.fromarray(draw_scene(seed).image).save(paths[-1])
    with LocalHub() as hub:
        publish_characters(hub, local_path("miniature-ccip"), local_path("miniature-tagger"))
        said = ask_peer(tmp_path, hub, "--detector", local_path("miniature-detector") / "model.onnx", *paths)
    with inference_server(tmp_path) as server, Inference(server.address) as inference:
        assert_same_characters(inference, "miniature-ccip", "miniature-tagger", paths, said)
        for name, theirs in said["boxes"].items():
            assert_same_boxes(detect(inference, "miniature-detector", opened(paths), [kind(name)]), theirs)


def test_texts_and_pictures_have_the_vectors_and_similarities_of_imgutils(tmp_path: Path, pictures: list[Path]) -> None:
    """The miniature's files under the name of production ones, where imgutils looks and where `kyara models pull` puts them."""
    (tmp_path / "texts.json").write_text(json.dumps(TEXTS))
    ours, (entry, folder) = tmp_path / "models" / CLIP, (catalogue()[CLIP], local_path("miniature-clip"))
    files = {file.path: (folder / entry.local_name(file)).read_bytes() for file in entry.files}
    ours.mkdir(parents=True)
    for file in entry.files:
        (ours / entry.local_name(file)).write_bytes(files[file.path])
    with LocalHub() as hub:
        hub.add("model", "deepghs/clip_onnx", files)
        said = ask_peer(tmp_path, hub, "--clip", f"openai/{CLIP}", "--texts", tmp_path / "texts.json", *pictures)
    with inference_server(tmp_path, ours.parent) as server, Inference(server.address, ours.parent) as inference:
        seen, read = embed_pictures(inference, CLIP, opened(pictures)), embed_texts(inference, CLIP, TEXTS)
    assert np.abs(seen - np.array(said["pictures"], np.float32)).max() <= 1e-4
    assert np.abs(read - np.array(said["texts"], np.float32)).max() <= 1e-4
    assert np.abs(similarities(seen, read) - np.array(said["similarities"])).max() <= 1e-4


def test_boxes_in_200_pictures_are_those_of_imgutils(tmp_path: Path) -> None:
    """Parts of drawn scenes, from a corner to the whole, as they are and squeezed."""
    rng = np.random.default_rng(3)
    scenes = [PIL.Image.fromarray(draw_scene(seed).image) for seed in range(1_000_010, 1_000_030)]
    paths = []
    for number in range(200):
        scene = scenes[number % len(scenes)]
        share = rng.uniform(0.3, 1.0)
        width, height = round(share * scene.width), round(share * scene.height)
        left, top = int(rng.integers(scene.width - width + 1)), int(rng.integers(scene.height - height + 1))
        part = scene.crop((left, top, left + width, top + height))
        paths.append(tmp_path / f"{number}.png")
        part.resize((width, round(height * rng.uniform(0.7, 1.4)))).save(paths[-1], compress_level=1)
    with LocalHub() as hub:
        detector = local_path("miniature-detector") / "model.onnx"
        said = ask_peer(tmp_path, hub, "--boxes-only", "--detector", detector, *paths)
    with inference_server(tmp_path) as server, Inference(server.address) as inference:
        wanted = [kind(name) for name in said["boxes"]]
        ours = detect(inference, "miniature-detector", opened(paths), wanted)
    for name, theirs in said["boxes"].items():
        assert_same_boxes([[box for box in boxes if box.kind == name] for boxes in ours], theirs)
