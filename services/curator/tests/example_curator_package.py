"""A tiny valid action for `curator.package`, for the contract suite. It needs an inference server with the miniature models."""

from kyara.curator.v1.curator_pb2 import PackageParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import ImageSet, Store
from services.curator.tests.curator_pictures import backdrop, draw_doll, keep


def example(store: Store) -> tuple[PackageParams, dict[str, ArtifactRef]]:
    """Two crops of a doll."""
    crops = []
    for n in range(2):
        picture = backdrop(n).crop((0, 0, 120, 220))
        boxes = tuple(box for box in draw_doll(picture, 10, 10, arm=30 * n) if box.kind != "person")
        crops.append(keep(store, picture, f"{n}.png", boxes, crop="person"))
    params = PackageParams(
        trigger="doll",
        crop_kinds=["halfbody", "head"],
        near_duplicate=0.02,
        tagger_model="miniature-tagger",
        detector_model="miniature-detector",
        tag_threshold=0.35,
        core_tag_share=0.45,
        core_trait_share=0.35,
        packages=["raw"],
    )
    return params, {"crops": ImageSet(images=tuple(crops)).save(store)}
