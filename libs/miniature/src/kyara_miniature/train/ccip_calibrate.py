"""The scale of CCIP's differences and the settings that go with it, chosen on characters kept for that alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import DBSCAN, OPTICS
from sklearn.metrics import adjusted_rand_score

from kyara_miniature.train.ccip_quality import operating_point, validation_features
from kyara_miniature.train.export import write_onnx
from kyara_miniature.train.recognise_net import CcipMetric

THRESHOLD = 0.18
"""Where the difference of best F1 is put, near the published model's 0.1785."""
OPTICS_STEPS, DBSCAN_STEPS = 24, 48


def calibrate(out: Path, characters: int) -> dict[str, float]:
    """Write the metric file, its threshold of best F1 and the clustering settings, found on a validation cast."""
    features, who = validation_features(out / "model_feat.onnx", characters)
    apart = ((1 - features @ features.T) / 2).clip(0, 1)
    point = operating_point(apart, who)
    power = float(np.log(THRESHOLD) / np.log(point["threshold"]))
    write_onnx(
        CcipMetric(power),
        torch.from_numpy(features[:4]),
        out / "model_metrics.onnx",
        inputs={"input": {0: "batch"}},
        outputs={"output": {0: "batch", 1: "batch"}},
    )
    found = {**point, "threshold": float(point["threshold"] ** power)}
    (out / "metrics.json").write_text(json.dumps(found, indent=2) + "\n")
    (out / "cluster.json").write_text(json.dumps(cluster_settings(apart**power, who), indent=2) + "\n")
    return found


def cluster_settings(apart: np.ndarray, who: np.ndarray) -> dict[str, dict[str, float]]:
    """The clusterings' settings that give the best adjusted Rand index, as `cluster.json` has them."""

    def best(of: Callable[[float, int], np.ndarray], steps: int, least: Sequence[int]) -> dict[str, float]:
        tried = [(eps, samples) for samples in least for eps in np.geomspace(0.005, 0.4, steps)]
        scores = [adjusted_rand_score(who, of(eps, samples)) for eps, samples in tried]
        index = int(np.argmax(scores))
        return {"eps": float(tried[index][0]), "min_samples": tried[index][1], "ari": float(scores[index])}

    def dbscan(eps: float, samples: int) -> np.ndarray:
        return DBSCAN(eps=eps, min_samples=samples, metric="precomputed").fit(apart).labels_

    def optics(eps: float, samples: int) -> np.ndarray:
        return OPTICS(max_eps=eps, min_samples=samples, metric="precomputed").fit(apart).labels_

    return {
        "dbscan_2": best(dbscan, DBSCAN_STEPS, (2,)),
        "dbscan_free": best(dbscan, DBSCAN_STEPS, (2, 3, 4, 5)),
        "optics": best(optics, OPTICS_STEPS, (5,)),
    }
