"""Clustering: 2,000 crops beside OPTICS on the N x N matrix of the model's differences, and how time and memory grow.

`python -m tests.bench.clustering COUNT` clusters so many in a process of its own, and prints seconds and MB as JSON.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from imgutils.utils import open_onnx_model
from sklearn.cluster import OPTICS
from sklearn.metrics import adjusted_rand_score

from kyara_artifacts import Image
from kyara_clusterer.metric import Metric
from kyara_clusterer.refine import refine
from kyara_clusterer.relation import relate
from kyara_clusterer.search import NOISE, ranked, search
from kyara_inference import Inference, catalogue, local_path
from tests.bench.rows import Row, medians
from tests.servers.inference import inference_server

MODEL = "miniature-ccip"
COMPARED, GROWTH = 2_000, (1_000, 10_000, 100_000)
SMALLEST, REATTACH, MERGE = 5, 0.9, 0.85
DIMENSIONS, FEATURES = 24, 768


def clustering(folder: Path) -> Iterator[Row]:
    """From vectors to labels, the model's metric included, on both sides."""
    crops, vectors, truth = season(COMPARED)
    metric_model: Any = open_onnx_model(str(local_path(MODEL) / "model_metrics.onnx"))
    labels: dict[str, np.ndarray] = {}
    with inference_server(folder) as server, Inference(server.address) as inference:
        threshold = catalogue().ccip(MODEL).threshold

        def ours() -> None:
            metric = Metric.of(inference, MODEL, threshold, vectors)
            labels["kyara"] = clustered(crops, vectors, metric)

        def theirs() -> None:
            (apart,) = metric_model.run(["output"], {"input": vectors})
            found = OPTICS(metric="precomputed", min_samples=5).fit_predict(np.maximum(apart, 0))
            labels["optics"] = found

        mine, peer = medians(ours, theirs)
    notes = {f"ari_{name}": round(_ari(truth, found), 3) for name, found in labels.items()}
    for count in GROWTH:
        notes |= {f"{count // 1000}k_{key}": value for key, value in _alone(count).items()}
    yield Row(f"{COMPARED} crops to characters", mine, "sklearn OPTICS on the N x N matrix", peer, notes)


def clustered(crops: list[Image], vectors: np.ndarray, metric: Metric) -> np.ndarray:
    """Labels, as the stage gives them."""
    relation = relate(crops, vectors, metric)
    best = search(relation, SMALLEST)[0]
    return ranked(refine(best.labels, relation, SMALLEST, REATTACH, MERGE).labels)


def season(count: int) -> tuple[list[Image], np.ndarray, np.ndarray]:
    """A made-up season: crops in shots and frames, vectors [n, 768] like CCIP's, and who each is of.

    A character for each 60 crops, some seen far more than others; up to three outfits; every fourth shot shows two; six
    crops in a hundred are a blur.
    """
    rng = np.random.default_rng(1)

    def away(start: np.ndarray, by: float) -> np.ndarray:
        return start + by * _unit(rng.normal(size=DIMENSIONS))

    common = _unit(rng.normal(size=DIMENSIONS))
    cast = max(4, count // 60)
    centres = [_unit(away(0.45 * common, 1.0)) for _ in range(cast)]
    outfits = [[away(centre, 0.3) for _ in range(int(rng.integers(1, 4)))] for centre in centres]
    share = 1 / np.arange(1, cast + 1) ** 0.7
    vectors, truth, crops = [], [], []
    shot = 0
    while len(crops) < count:
        shown = rng.choice(cast, size=2 if rng.random() < 0.25 else 1, replace=False, p=share / share.sum())
        looks = [away(outfits[who][int(rng.integers(len(outfits[who])))], 0.3) for who in shown]
        for step in range(int(rng.integers(1, 6))):
            for side, (who, look) in enumerate(zip(shown.tolist(), looks, strict=True)):
                blurred = rng.random() < 0.06
                vectors.append(_unit(away(look, 1.1 if blurred else 0.24 * abs(rng.normal(1, 0.5)))))
                truth.append(who)
                crops.append(_crop(len(crops), shot, step, 200 + 600 * side + rng.normal() * 10))
        shot += 1
    padded = np.pad(np.array(vectors[:count]), ((0, 0), (0, FEATURES - DIMENSIONS)))
    return crops[:count], padded.astype(np.float32), np.array(truth[:count])


def _crop(number: int, shot: int, step: int, left: float) -> Image:
    return Image(
        name=f"{number:06}.png",
        sha256="0" * 64,
        size=1,
        width=200,
        height=400,
        crop="person",
        source=f"e{shot // 350}",
        parent=f"{shot}-{step}",
        parent_box=(left, 0, left + 200, 400),
        time_s=5.0 * shot + 0.75 * step,
        shot=shot,
    )


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def _ari(truth: np.ndarray, labels: np.ndarray) -> float:
    """Adjusted Rand index; each noise crop counts as a cluster of its own."""
    return float(adjusted_rand_score(truth, np.where(labels == NOISE, -1 - np.arange(len(labels)), labels)))


def _alone(count: int) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", __name__, str(count)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _grown(count: int) -> dict[str, Any]:
    """Seconds, and MB at most, that so many crops take; the metric is a straight line, so that no server is needed."""
    crops, vectors, truth = season(count)
    metric = Metric(np.array([-1.0, 1.0]), np.array([1.0, 0.0]), catalogue().ccip("ccip-caformer-24-randaug-pruned").threshold)
    began = time.perf_counter()
    labels = clustered(crops, vectors, metric)
    seconds = round(time.perf_counter() - began, 2)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"s": seconds, "mb": megabytes, "ari": round(_ari(truth, labels), 3)}


if __name__ == "__main__":
    print(json.dumps(_grown(int(sys.argv[1]))))
