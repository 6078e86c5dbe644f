"""A tiny valid action for the clusterer, for the contract suite. It needs an inference server with the miniature models."""

from collections.abc import Sequence

import numpy as np

from kyara.clusterer.v1.clusterer_pb2 import ClusterParams, RecogniseParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Image, ImageSet, Store, ref
from services.clusterer.tests.clusterer_cast import cast, crops_of, vectors_file


def example_of_clusters(store: Store) -> tuple[ClusterParams, dict[str, ArtifactRef]]:
    """Two characters that nobody could mistake."""
    features, truth = cast(1, main=2, extras=0, noise=0.1)
    crops = crops_of(store, truth.tolist())
    params = ClusterParams(model="miniature-ccip", min_cluster_size=5, reattach_share=0.9, merge_share=0.85)
    return params, {"crops": ImageSet(images=tuple(crops)).save(store), "vectors": _vectors(store, crops, features)}


def example_of_recognition(store: Store) -> tuple[RecogniseParams, dict[str, ArtifactRef]]:
    """The same two, of whom one is known."""
    features, truth = cast(1, main=2, extras=0, noise=0.1)
    plain = crops_of(store, truth.tolist())
    crops = [crop.model_copy(update={"index": int(who)}) for crop, who in zip(plain, truth, strict=True)]
    known = np.flatnonzero(truth == 0)[:4].tolist()
    return RecogniseParams(model="miniature-ccip", names=["miku"]), {
        "clusters": ImageSet(images=tuple(crops)).save(store),
        "vectors": _vectors(store, crops, features),
        "reference_000": _vectors(store, [crops[place] for place in known], features[known]),
    }


def _vectors(store: Store, crops: Sequence[Image], features: np.ndarray) -> ArtifactRef:
    return ref("vectors", store.put(vectors_file([crop.name for crop in crops], features)), "application/vnd.safetensors")


EXAMPLES = {"clusterer": example_of_clusters, "clusterer.recognise": example_of_recognition}
