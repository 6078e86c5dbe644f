"""A tiny valid action for `curator.clean`, for the contract suite."""

from kyara.curator.v1.curator_pb2 import CleanParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import ImageSet, Store
from services.curator.tests.curator_pictures import backdrop, draw_doll, keep


def example(store: Store) -> tuple[CleanParams, dict[str, ArtifactRef]]:
    """One frame with two dolls and one without any."""
    picture = backdrop(1)
    boxes = draw_doll(picture, 100, 100) + draw_doll(picture, 400, 100, hair=(60, 90, 200))
    frames = (keep(store, picture, "dolls.png", boxes), keep(store, backdrop(2), "nobody.png"))
    params = CleanParams(min_side=48, near_duplicate=0.06, drop_monochrome=True, exactly_one_face=True)
    return params, {"frames_000": ImageSet(images=frames).save(store)}
