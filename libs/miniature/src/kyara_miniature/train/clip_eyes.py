"""The miniature CLIP's eyes are the tagger's: its network up to what it says of tags, cut out of its file.

What a word looks like was learned there from many more pictures than a contrastive training of this world could afford; here
only what is seen and what is said are brought together.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.compose
import onnx.utils
import onnxruntime
import torch

from kyara_miniature.train.clip_net import SEEN, PictureHead
from kyara_miniature.train.export import write_onnx

PIXELS, ENCODINGS = "pixel_values", "encodings"


def cut_eyes(tagger: Path, path: Path) -> None:
    """Write `path`: pictures [b, 3, 224, 224], normalised as CLIP's are, which the tagger's first layer gets too -> [b, SEEN]."""
    whole = onnx.load(tagger / "model.onnx")
    first = next(node for node in whole.graph.node if node.op_type == "Conv")
    onnx.utils.extract_model(str(tagger / "model.onnx"), str(path), [first.input[0]], ["embedding"])
    eyes = onnx.load(path)
    names = {first.input[0]: PIXELS, "embedding": ENCODINGS}
    for node in eyes.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*eyes.graph.input, *eyes.graph.output):
        value.name = names[value.name]
    onnx.save(eyes, str(path))


class Eyes:
    """What is seen of pictures."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def see(self, pixels: np.ndarray) -> np.ndarray:
        """[b, SEEN] of pictures [b, 3, 224, 224], normalised as CLIP's are."""
        return np.asarray(self._session.run([ENCODINGS], {PIXELS: pixels})[0])


def write_image_encoder(eyes: Path, head: PictureHead, path: Path) -> None:
    """Eyes and head as one file: `pixel_values` -> `encodings` and `embeddings`."""
    names = {"seen": {0: "batch"}, "embeddings": {0: "batch"}}
    write_onnx(head, torch.zeros(1, SEEN), path, inputs={"seen": names["seen"]}, outputs={"embeddings": names["embeddings"]})
    first, second = onnx.load(eyes), onnx.load(path)
    joined = onnx.compose.merge_models(first, second, [(ENCODINGS, "seen")], outputs=[ENCODINGS, "embeddings"])
    onnx.checker.check_model(joined)
    onnx.save(joined, str(path))
