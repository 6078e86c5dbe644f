"""Made-up casts: CCIP-like vectors of known truth, with outfits, shots, blur, look-alikes and passers-by."""

import json
from collections.abc import Sequence

import numpy as np
from safetensors.numpy import save

from kyara_artifacts import Image, Store, put_picture

DIMENSIONS = 20
FEATURES = 768


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scaled to length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def cast(
    seed: int, *, main: int = 4, extras: int = 3, noise: float = 0.8, look_alikes: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors [n, 768] float32 and who each is of: main characters have 15-80 crops, extras 1-6.

    A character wears up to three outfits; crops of one shot are alike; six in a hundred are a blur.
    """
    rng = np.random.default_rng(seed)

    def away(from_: np.ndarray, by: float) -> np.ndarray:
        return from_ + by * unit(rng.normal(size=DIMENSIONS))

    common = unit(rng.normal(size=DIMENSIONS))
    centres: list[np.ndarray] = []
    vectors, truth = [], []
    for character in range(main + extras):
        like_first = look_alikes and character == 1
        centres.append(unit(away(centres[0], 0.75) if like_first else away(0.45 * common, 1.0)))
        outfits = [away(centres[-1], 0.38 * noise) for _ in range(int(rng.integers(1, 4)))]
        wanted = int(rng.integers(15, 80)) if character < main else int(rng.integers(1, 7))
        while truth.count(character) < wanted:
            shot = away(outfits[int(rng.integers(len(outfits)))], 0.38 * noise)
            for _ in range(min(int(rng.integers(1, 6)), wanted - truth.count(character))):
                blurred = rng.random() < 0.06
                vectors.append(unit(away(shot, 1.1 if blurred else 0.3 * noise * abs(rng.normal(1, 0.5)))))
                truth.append(character)
    order = rng.permutation(len(truth))
    padded = np.pad(np.array(vectors), ((0, 0), (0, FEATURES - DIMENSIONS)))
    return padded[order].astype(np.float32), np.array(truth)[order]


def crops_of(store: Store, truth: Sequence[int]) -> list[Image]:
    """A small crop for each, in its character's colour."""
    palette = np.random.default_rng(0).integers(60, 230, (max(truth) + 1, 3), dtype=np.uint8)
    kept = [put_picture(store, np.broadcast_to(colour, (48, 32, 3)).copy()) for colour in palette]
    return [
        Image(
            name=f"{number:04}.png",
            sha256=kept[who][0].sha256,
            size=kept[who][0].size_bytes,
            width=32,
            height=48,
            crop="person",
        )
        for number, who in enumerate(truth)
    ]


def vectors_file(names: Sequence[str], features: np.ndarray) -> bytes:
    """What the embedder writes."""
    clothes = np.zeros((len(features), 405), np.float32)
    return save({"features": features, "clothes": clothes}, metadata={"names": json.dumps(list(names))})
