"""Clusterings of the same vectors that use nothing but the vectors: what the clusterer is compared with."""

import json
from collections.abc import Callable, Mapping

import numpy as np
from hdbscan import HDBSCAN
from safetensors.numpy import load
from sklearn.cluster import OPTICS

from kyara_inference import Inference, catalogue, differences
from tests.accuracy.season import Rooms, Seen

Labels = Mapping[str, int]


def hdbscan(rooms: Rooms, seen: Seen) -> Labels:
    """HDBSCAN as it comes, with the reference's smallest cluster."""
    names, apart = _differences(rooms, seen)
    size = rooms.recipe.clustering.min_cluster_size
    return dict(zip(names, HDBSCAN(metric="precomputed", min_cluster_size=size).fit_predict(apart).tolist(), strict=True))


def optics(rooms: Rooms, seen: Seen) -> Labels:
    """The reference: OPTICS with 5 samples, noise reattached at 90 % of the pairs, clusters merged at 85 %."""
    names, apart = _differences(rooms, seen)
    found = OPTICS(metric="precomputed", min_samples=5).fit_predict(apart)
    same = apart <= catalogue().ccip(rooms.recipe.clustering.model).threshold
    return dict(zip(names, _reattached_and_merged(found, same, 0.9, 0.85).tolist(), strict=True))


CLUSTERINGS: dict[str, Callable[[Rooms, Seen], Labels]] = {"hdbscan": hdbscan, "optics": optics}


def _differences(rooms: Rooms, seen: Seen) -> tuple[list[str], np.ndarray]:
    """Names of the crops with vectors, and the model's differences [n, n] float64."""
    data = rooms.store.get(seen.vectors.digest)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    with Inference(rooms.inference) as inference:
        apart = differences(inference, rooms.recipe.clustering.model, load(data)["features"]).astype(np.float64)
    np.fill_diagonal(apart, 0)
    return json.loads(header["__metadata__"]["names"]), np.maximum((apart + apart.T) / 2, 0)


def _reattached_and_merged(labels: np.ndarray, same: np.ndarray, reattach: float, merge: float) -> np.ndarray:
    """The published rules: noise joins at `reattach` 'same' pairs of a cluster, clusters join at `merge` of the cross pairs."""
    members = [labels == cluster for cluster in np.unique(labels) if cluster >= 0]
    for place in np.flatnonzero(labels < 0).tolist():
        shares = [float(same[place, each].mean()) for each in members]
        if shares and max(shares) >= reattach:
            members[int(np.argmax(shares))][place] = True
    joined = True
    while joined:
        joined = False
        for a in range(len(members)):
            for b in range(a + 1, len(members)):
                if not joined and same[np.ix_(members[a], members[b])].mean() >= merge:
                    members[a] |= members.pop(b)
                    joined = True
    found = np.full(len(labels), -1)
    for number, each in enumerate(members):
        found[each] = number
    return found
