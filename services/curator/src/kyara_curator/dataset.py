"""A character's pictures to a captioned dataset: 3-stage crops, near-duplicates out, tags, captions."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import PIL.Image

from kyara.curator.v1.curator_pb2 import PackageParams
from kyara_artifacts import Image, ImageSet, scale_of, side_by_side
from kyara_curator.crops import Context, tagged_crops, tags_of
from kyara_curator.names import UniqueNames, safe_stem
from kyara_curator.tags import CoreShares, caption, core_tags, words_of
from kyara_inference import Inference
from kyara_inference.staging import AT_ONCE, pictures_of


def make_dataset(ctx: Context, params: PackageParams, pictures: Sequence[Image], inference: Inference) -> ImageSet:
    """The dataset of `pictures`; its `meta` holds trigger, core tags, counts and scale."""
    if params.as_they_are:
        images = _tagged(ctx, params, _whole(pictures, params.trigger), inference)
    else:
        images = tagged_crops(ctx, params, _capped(ctx, pictures, params), inference)
    return _captioned(images, params, len(pictures))


def _whole(pictures: Sequence[Image], trigger: str) -> list[Image]:
    """The pictures of a dataset that is one already, with the tags that their captions name."""
    names = UniqueNames()
    return [
        image.model_copy(
            update={
                "name": names.take(safe_stem(image.name)),
                "crop": image.crop or "person",
                "parent": image.name,
                "tags": words_of(image.caption or "", trigger),
            }
        )
        for image in pictures
    ]


def _capped(ctx: Context, pictures: Sequence[Image], params: PackageParams) -> list[Image]:
    """At most `max_images` of the pictures, drawn by the seed, in their order; 0 takes all."""
    if not params.max_images or len(pictures) <= params.max_images:
        return list(pictures)
    drawn = np.random.default_rng(params.seed).permutation(len(pictures))[: params.max_images]
    taken = set(drawn.tolist())
    for place, image in enumerate(pictures):
        if place not in taken:
            ctx.reject(image.name, f"not drawn: at most {params.max_images} pictures are wanted")
    return [pictures[place] for place in sorted(taken)]


def _tagged(ctx: Context, params: PackageParams, pictures: list[Image], inference: Inference) -> list[Image]:
    """The pictures with the tagger's tags where they have none."""
    tagged = {image.name: image for image in pictures}

    def told(some: list[tuple[Image, PIL.Image.Image]]) -> list[Image]:
        tags = tags_of(params, inference, [picture for _, picture in some])
        return [image.model_copy(update={"tags": each}) for (image, _), each in zip(some, tags, strict=True)]

    untold = pictures_of(ctx, [image for image in pictures if not image.tags], "tagging")
    for some in side_by_side(told, untold, AT_ONCE):
        tagged |= {image.name: image for image in some}
    return list(tagged.values())


def _captioned(tagged: list[Image], params: PackageParams, given: int) -> ImageSet:
    core = core_tags([image.tags for image in tagged], CoreShares(params.core_tag_share, params.core_trait_share))
    pruned = core if params.prune_core_tags else []
    images = [
        image.model_copy(update={"caption": image.caption or caption(params.trigger, image.tags, pruned)}) for image in tagged
    ]
    kinds = Counter(image.crop for image in images)
    pictures = len({image.parent for image in images})
    counts = {"given": given, "pictures": pictures, "images": len(images), **{kind: kinds[kind] for kind in sorted(kinds)}}
    meta = {"trigger": params.trigger, "core_tags": core, "counts": counts, "scale": scale_of(len(images))}
    return ImageSet(images=tuple(images), meta=meta)
