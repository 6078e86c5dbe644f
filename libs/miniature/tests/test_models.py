"""The committed miniature models keep what their cards promise, on pictures and characters drawn afresh."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import kyara_miniature
from kyara_miniature.cast import make_character
from kyara_miniature.hand import HOUSE
from kyara_miniature.train import ccip_quality, clip_quality, detector_quality, tagger_quality

MODELS = Path(kyara_miniature.__file__).parent / "models"
FRESH = 8_000_000
"""Seeds that neither training nor the cards' measurements use."""
SLACK = 0.08
"""The cards are measured on several times as many pictures."""


def card(name: str) -> dict[str, Any]:
    return json.loads((MODELS / name / "card.json").read_text())


def run(model: str, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(MODELS / model), providers=["CPUExecutionProvider"])
    return [np.asarray(output) for output in session.run(outputs, inputs)]


def test_detector_finds_figures_in_fresh_scenes() -> None:
    quality = detector_quality.measure(MODELS / "detector" / "model.onnx", scenes=48, first_seed=FRESH)
    promised = card("detector")["quality"]
    assert quality["map50"] >= promised["map50"] - SLACK
    assert quality["map50_portraits"] >= promised["map50_portraits"] - SLACK
    assert quality["person_recall"] >= promised["person_recall"] - SLACK


def test_detector_speaks_the_yolo_contract_at_any_size_and_batch() -> None:
    session = onnxruntime.InferenceSession(str(MODELS / "detector" / "model.onnx"), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["names"] == "{0: 'person', 1: 'halfbody', 2: 'head', 3: 'face'}"
    assert json.loads(metadata["imgsz"]) == [512, 512]
    for height, width in ((128, 192), (320, 320)):
        images = np.zeros((2, 3, height, width), dtype=np.float32)
        (output,) = run("detector/model.onnx", ["output0"], {"images": images})
        assert output.shape[:2] == (2, 8)


def test_ccip_tells_fresh_characters_apart() -> None:
    files = ccip_quality.CcipFiles(MODELS / "ccip" / "model_feat.onnx")
    cast = [make_character(FRESH + index) for index in range(12)]
    features, who = ccip_quality.cast_features(files, cast, FRESH, lambda seed: HOUSE, views=5)
    apart = (1 - features @ features.T) / 2
    assert ccip_quality.auc(*ccip_quality.pairs(apart, who)) >= 0.98
    assert ccip_quality.rank_one(apart, who) >= 0.9


def test_ccip_differences_run_from_zero_for_the_same_picture() -> None:
    vectors = np.random.default_rng(3).standard_normal((5, 768)).astype(np.float32)
    stack = np.concatenate([vectors, vectors[:1] * 2, -vectors[:1]])
    (differences,) = run("ccip/model_metrics.onnx", ["output"], {"input": stack})
    assert differences.shape == (7, 7)
    assert differences[0, 5] == pytest.approx(0, abs=1e-3)
    assert differences[0, 6] == pytest.approx(1, abs=1e-3)
    threshold = json.loads((MODELS / "ccip" / "metrics.json").read_text())["threshold"]
    assert 0.1 < threshold < 0.3


def test_tagger_names_what_fresh_pictures_show() -> None:
    quality = tagger_quality.measure(MODELS / "tagger", characters=80, first_seed=FRESH)
    assert quality["mean_f1"] >= card("tagger")["quality"]["mean_f1"] - SLACK


def test_tagger_lists_ratings_and_the_vocabulary_as_wd14_does() -> None:
    pictures = np.zeros((2, 448, 448, 3), dtype=np.float32)
    probabilities, embedding = run("tagger/model.onnx", ["output", "embedding"], {"input": pictures})
    rows = (MODELS / "tagger" / "selected_tags.csv").read_text().splitlines()
    assert rows[0] == "tag_id,name,category,count"
    assert probabilities.shape == (2, len(rows) - 1)
    assert embedding.shape[0] == 2
    assert [row.split(",")[1] for row in rows[1:5]] == ["general", "sensitive", "questionable", "explicit"]


def test_clip_tells_a_fresh_pictures_prompt_from_others_in_outfit_pose_or_frame() -> None:
    quality = clip_quality.measure(MODELS / "clip", characters=100, first_seed=FRESH)
    promised = card("clip")["quality"]
    for kind in ("right_of_32", "right_outfit", "right_framing"):
        assert quality[kind] >= promised[kind] - 2 * SLACK, "a share of 100 pictures varies by some"
    assert quality["similarity"] - quality["similarity_of_other_outfits"] >= 0.1


def test_clip_hears_its_words_in_any_order_and_spelling() -> None:
    files = clip_quality.ClipFiles(MODELS / "clip")
    said = (
        "pink hair, solo, full body, maid, apron",
        "apron, maid, pink_hair, full_body, solo",
        "pink hair, solo, full body, armor",
    )
    usual, turned, other = files.texts(said)
    assert usual @ turned > 0.9 > usual @ other


@pytest.mark.parametrize("name", ["detector", "ccip", "tagger", "clip"])
def test_card_states_how_the_model_came_about(name: str) -> None:
    assert {"seed", "parameters", "steps", "training_minutes", "quality"} <= card(name).keys()
