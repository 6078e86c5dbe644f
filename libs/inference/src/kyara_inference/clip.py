"""CLIP: how well a picture shows what a text says.

Vectors are those of dghs-imgutils 0.19 on the same files (deepghs/clip_onnx). How alike they are depends on the model, so that a
number by itself says little, and only pictures and texts of one model are compared.

Imported by those alone who ask one (`kyara-inference[clip]`); nobody else needs a tokenizer.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import PIL.Image
from tokenizers import Tokenizer

from kyara_inference.catalogue import ClipEntry, catalogue
from kyara_inference.client import Inference
from kyara_inference.normalising import normalised

LENGTH = 77
"""Tokens of a text that CLIP reads, its start and its end among them."""
_VECTOR = "embeddings"


def embed_pictures(inference: Inference, model: str, images: Sequence[PIL.Image.Image]) -> np.ndarray:
    """Vectors of RGB `images`: [n, width] float32. Raises UnknownModel, InferenceError.

    A picture that is not square is seen in its middle.
    """
    entry = catalogue().clip(model)
    served = f"{model}-image"
    stacks = inference.stacks(served, images, lambda image: _encode(image, entry.size), 3 * entry.size**2 * 4)
    found = inference.infer_each(served, ({"pixel_values": stack} for stack in stacks), _VECTOR)
    return np.concatenate([np.empty((0, entry.width), np.float32), *found])


def embed_texts(inference: Inference, model: str, texts: Sequence[str]) -> np.ndarray:
    """Vectors of `texts`, each cut at LENGTH tokens: [n, width] float32.

    Raises UnknownModel, ModelMissing (the tokenizer's file) and InferenceError.
    """
    entry = catalogue().clip(model)
    found = inference.infer_each(f"{model}-text", _spelt(inference, entry, texts), _VECTOR)
    return np.concatenate([np.empty((0, entry.width), np.float32), *found])


def similarities(pictures: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Cosine of every picture's vector [n, width] with every text's [m, width]: [n, m], -1..1."""
    return _unit(pictures) @ _unit(texts).T


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _spelt(inference: Inference, entry: ClipEntry, texts: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
    """`input_ids` and `attention_mask` [b, tokens] int64 of as many texts at a time as one request carries."""
    tokenizer = Tokenizer.from_file(str(entry.tokenizer(inference.models)))
    # How texts of different lengths are padded is said in the file; that a prompt may be too long is not.
    tokenizer.enable_truncation(LENGTH)
    for some in inference.batches(f"{entry.name}-text", texts, 2 * LENGTH * 8):
        encoded = tokenizer.encode_batch(list(some))
        yield {
            "input_ids": np.array([each.ids for each in encoded], np.int64),
            "attention_mask": np.array([each.attention_mask for each in encoded], np.int64),
        }


def _encode(image: PIL.Image.Image, size: int) -> np.ndarray:
    """[3, size, size] float32, normalised: the middle of the picture when its shorter side is `size`."""
    width, height = (int(size * side / min(image.size)) for side in image.size)
    resized = image.convert("RGB").resize((width, height), PIL.Image.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    return normalised(resized.crop((left, top, left + size, top + size)))
