"""A tiny valid action for `curator.web`, for the contract suite. It needs an inference server with the miniature models."""

from kyara.curator.v1.curator_pb2 import WebParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import ImageSet, Store
from services.curator.tests.curator_pictures import backdrop, draw_doll, keep


def example(store: Store) -> tuple[WebParams, dict[str, ArtifactRef]]:
    """One doll twice, in two poses, and a picture of nobody."""
    pictures = []
    for n in range(2):
        picture = backdrop(n)
        pictures.append(keep(store, picture, f"{n}.png", draw_doll(picture, 200, 100, arm=30 * n)))
    pictures.append(keep(store, backdrop(2), "nobody.png"))
    params = WebParams(
        drop_monochrome=True,
        near_duplicate=0.02,
        ccip_model="miniature-ccip",
        cluster_share=0.5,
        match_share=0.5,
        min_side=48,
        min_images=1,
    )
    return params, {"images": ImageSet(images=tuple(pictures)).save(store)}
