"""A tiny valid action for the clusterer, for the contract suite. It needs an inference server with the miniature models."""

from kyara.clusterer.v1.clusterer_pb2 import ClusterParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import ImageSet, Store, ref
from services.clusterer.tests.clusterer_cast import cast, crops_of, vectors_file


def example(store: Store) -> tuple[ClusterParams, dict[str, ArtifactRef]]:
    """Two characters that nobody could mistake."""
    features, truth = cast(1, main=2, extras=0, noise=0.1)
    crops = crops_of(store, truth.tolist())
    digest = store.put(vectors_file([crop.name for crop in crops], features))
    vectors = ref("vectors", digest, "application/vnd.safetensors")
    params = ClusterParams(model="miniature-ccip", min_cluster_size=5, reattach_share=0.9, merge_share=0.85)
    return params, {"crops": ImageSet(images=tuple(crops)).save(store), "vectors": vectors}
