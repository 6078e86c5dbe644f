"""What dghs-imgutils says of some pictures, as JSON: run as a process of its own, with HF_ENDPOINT at a local hub.

python imgutils_peer.py PICTURE...
python imgutils_peer.py --detector DETECTOR.onnx [--boxes-only] PICTURE...
python imgutils_peer.py --clip MODEL --texts TEXTS.json PICTURE...
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgutils.data import load_image, rgb_encode
from imgutils.detect import detect_faces, detect_person
from imgutils.generic import yolo
from imgutils.generic.clip import CLIPModel
from imgutils.metrics.ccip import ccip_batch_differences, ccip_batch_extract_features
from imgutils.tagging import get_wd14_tags
from imgutils.utils import open_onnx_model

DEFAULTS = {"person": (0.3, 0.5), "halfbody": (0.5, 0.7), "head": (0.4, 0.7), "face": (0.25, 0.7)}


def figures(pictures: Sequence[str]) -> dict[str, object]:
    """imgutils' own detectors, each with its defaults."""
    return {
        "face": [detect_faces(picture) for picture in pictures],
        "person": [detect_person(picture) for picture in pictures],
    }


def characters(pictures: Sequence[str]) -> dict[str, object]:
    """imgutils' CCIP and WD14, with their defaults."""
    features: Any = ccip_batch_extract_features(list(pictures))
    return {
        "features": features.tolist(),
        "differences": ccip_batch_differences(list(features)).tolist(),
        "tags": [get_wd14_tags(picture)[1] for picture in pictures],
    }


def boxes_by_class(detector: str, pictures: Sequence[str]) -> dict[str, list[object]]:
    """imgutils' own steps on a file with several classes, of which each is looked at alone."""
    model: Any = open_onnx_model(detector)
    meta: dict[str, str] = model.get_modelmeta().custom_metadata_map
    width, height = json.loads(meta["imgsz"])
    names: dict[int, str] = yolo._safe_eval_names_str(meta["names"])
    found: dict[str, list[object]] = {name: [] for name in names.values()}
    for picture in pictures:
        loaded: Any = load_image(picture, mode="RGB")
        image, old, new = yolo._image_preprocess(loaded, (width, height))
        (output,) = model.run(["output0"], {"images": rgb_encode(image)[None]})
        for number, name in names.items():
            alone = output[0][[0, 1, 2, 3, 4 + number]]
            found[name].append(yolo._yolo_postprocess(alone, *DEFAULTS[name], old, new, [name]))
    return found


def likeness(name: str, texts: Sequence[str], pictures: Sequence[str]) -> dict[str, object]:
    """imgutils' CLIP of that name in deepghs/clip_onnx: vectors of pictures and texts, and their cosines."""
    model: Any = CLIPModel("deepghs/clip_onnx")
    images, told = model.image_encode(list(pictures), name), model.text_encode(list(texts), name)
    cosines = model.predict(images, told, name, fmt="similarities")
    return {"pictures": images.tolist(), "texts": told.tolist(), "similarities": cosines.tolist()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--detector")
    parser.add_argument("--boxes-only", action="store_true")
    parser.add_argument("--clip")
    parser.add_argument("--texts", type=Path)
    parser.add_argument("pictures", nargs="+")
    given = parser.parse_args()
    if given.clip:
        print(json.dumps(likeness(given.clip, json.loads(given.texts.read_text()), given.pictures)))
    else:
        boxes = boxes_by_class(given.detector, given.pictures) if given.detector else figures(given.pictures)
        print(json.dumps({"boxes": boxes} | ({} if given.boxes_only else characters(given.pictures))))
