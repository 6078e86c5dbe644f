"""A character's pictures to a captioned dataset: 3-stage crops, near-duplicates out, tags, captions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image

from kyara.curator.v1.curator_pb2 import PackageParams
from kyara_artifacts import BadPicture, Box, Image, ImageSet, put_picture, read_picture, scale_of, side_by_side
from kyara_curator.geometry import Corners, shortest_side
from kyara_curator.looks import Print, first_seen, print_of
from kyara_curator.names import UniqueNames, safe_stem
from kyara_curator.settings import CuratorSettings
from kyara_curator.tags import CoreShares, caption, core_tags, words_of
from kyara_curator.three_stage import cuts_of, described
from kyara_inference import Inference, KindThreshold, catalogue, detect, tag
from kyara_inference.staging import AT_ONCE, pictures_of
from kyara_stage import StageContext

Context = StageContext[CuratorSettings]

CROP_KINDS = ("halfbody", "head")


@dataclass(frozen=True)
class _Crop:
    image: Image
    print_: Print


def make_dataset(ctx: Context, params: PackageParams, pictures: Sequence[Image], inference: Inference) -> ImageSet:
    """The dataset of `pictures`; its `meta` holds trigger, core tags, counts and scale."""
    if params.as_they_are:
        return _captioned(_tagged(ctx, params, _whole(pictures, params.trigger), inference), params, len(pictures))
    chosen = _capped(ctx, pictures, params)
    crops = _without_repeats(ctx, _cropped(ctx, params, chosen, inference), params.near_duplicate)
    tagged = _tagged(ctx, params, crops, inference)
    return _captioned(tagged, params, len(pictures))


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


def _cropped(ctx: Context, params: PackageParams, pictures: Sequence[Image], inference: Inference) -> list[_Crop]:
    def cut_up(image: Image) -> list[_Crop | tuple[str, str]]:
        try:
            picture = read_picture(ctx.store.get(image.digest))
        except BadPicture as error:
            return [(image.name, str(error))]
        boxes = image.boxes or tuple(_boxes_in(inference, params.detector_model, picture))
        cuts = cuts_of(image, boxes, params.crop_kinds)
        return [_crop_of(ctx, params, image, picture, boxes, kind, cut) for kind, cut in cuts] or [
            (image.name, "no figure in it")
        ]

    names = UniqueNames()
    crops = []
    for found in ctx.track(side_by_side(cut_up, pictures), "cutting 3-stage crops", "pictures", len(pictures)):
        for each in found:
            if isinstance(each, tuple):
                ctx.reject(*each)
            else:
                name = names.take(each.image.name.removesuffix(".png"))
                crops.append(_Crop(each.image.model_copy(update={"name": name}), each.print_))
    return crops


def _crop_of(
    ctx: Context, params: PackageParams, image: Image, picture: PIL.Image.Image, boxes: Sequence[Box], kind: str, cut: Corners
) -> _Crop | tuple[str, str]:
    """The crop in the store, or its name and why there is none."""
    side = shortest_side(cut)
    if side < params.min_crop_side:
        return f"{image.name} {kind}", f"shortest side is {side} px, at least {params.min_crop_side} are wanted"
    pixels = picture.crop(cut)
    # A person that is the whole picture was cut out, and kept, before.
    is_kept = image.crop == "person" and pixels.size == picture.size
    digest = image.digest if is_kept else put_picture(ctx.store, pixels)[0]
    return _Crop(described(image, kind, cut, boxes, digest.sha256, digest.size_bytes), print_of(pixels))


def _boxes_in(inference: Inference, model: str, picture: PIL.Image.Image) -> list[Box]:
    """Boxes for a picture that came without, from the model's own classes and thresholds."""
    entry = catalogue().detector(model)
    kinds = [KindThreshold(kind, entry.confidence, entry.iou) for kind in entry.classes if kind in ("person", *CROP_KINDS)]
    return detect(inference, model, [picture], kinds)[0]


def _without_repeats(ctx: Context, crops: list[_Crop], limit: float) -> list[Image]:
    """One of each group of near-duplicates. Persons go first, so that a half body never displaces its person."""
    order = sorted(crops, key=lambda crop: crop.image.crop != "person")
    kept = set()
    for place, original in enumerate(first_seen([crop.print_ for crop in order], limit)):
        if place == original:
            kept.add(order[place].image.name)
        else:
            ctx.reject(order[place].image.name, f"nearly the same as {order[original].image.name}")
    return [crop.image for crop in crops if crop.image.name in kept]


def _tagged(ctx: Context, params: PackageParams, crops: list[Image], inference: Inference) -> list[Image]:
    tagged = {image.name: image for image in crops}
    untold = [image for image in crops if not image.tags]

    def told(some: list[tuple[Image, PIL.Image.Image]]) -> list[tuple[Image, dict[str, float]]]:
        found = tag(inference, params.tagger_model, [picture for _, picture in some], params.tag_threshold)
        return [(image, tags) for (image, _), tags in zip(some, found, strict=True)]

    for some in side_by_side(told, pictures_of(ctx, untold, "tagging"), AT_ONCE):
        for image, tags in some:
            tagged[image.name] = image.model_copy(update={"tags": {name: round(score, 4) for name, score in tags.items()}})
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
