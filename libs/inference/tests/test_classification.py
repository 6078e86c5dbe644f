"""A classifier says what dghs-imgutils says with the same file, in the words of the model's own meta.json."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from imgutils.generic.classify import _img_encode  # pyright: ignore[reportPrivateUsage]
from imgutils.utils import open_onnx_model

from kyara_inference import Inference, UnknownModel, classify
from kyara_miniature.scene import draw_scene
from tests.servers.inference import inference_server
from tests.servers.models import write_classifier

LABELS = ["3d", "bangumi", "comic", "illustration", "not_painting"]


def test_probabilities_are_those_of_imgutils(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "anime_classification"
    write_classifier(folder, LABELS)
    pictures = [PIL.Image.fromarray(draw_scene(seed).image) for seed in range(5)]
    model: Any = open_onnx_model(str(folder / "model.onnx"))
    with inference_server(tmp_path, tmp_path / "models") as server, Inference(server.address, tmp_path / "models") as inference:
        found = classify(inference, "anime_classification", pictures)
        with pytest.raises(UnknownModel, match="miniature-ccip"):
            classify(inference, "miniature-ccip", pictures)
    for scores, picture in zip(found, pictures, strict=True):
        (theirs,) = model.run(["output"], {"input": _img_encode(picture)[None].astype(np.float32)})
        assert scores == pytest.approx(dict(zip(LABELS, theirs[0].tolist(), strict=True)), abs=1e-5)
        assert list(scores.values()) == sorted(scores.values(), reverse=True)
