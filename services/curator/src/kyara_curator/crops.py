"""A character's pictures to tagged 3-stage crops without near-duplicates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import PIL.Image

from kyara.curator.v1.curator_pb2 import PackageParams
from kyara_artifacts import BadPicture, Box, Image, put_picture, read_picture
from kyara_curator.geometry import shortest_side
from kyara_curator.looks import Print, first_seen, print_of
from kyara_curator.names import UniqueNames
from kyara_curator.settings import CuratorSettings
from kyara_curator.three_stage import cuts_of, described
from kyara_inference import Inference, KindThreshold, catalogue, detect, tag
from kyara_inference.staging import by_chunks
from kyara_stage import StageContext

Context = StageContext[CuratorSettings]

CROP_KINDS = ("halfbody", "head")


@dataclass(frozen=True)
class _Crop:
    image: Image
    pixels: PIL.Image.Image


@dataclass(frozen=True)
class _Flawed:
    item: str
    reason: str


def tagged_crops(ctx: Context, params: PackageParams, pictures: Sequence[Image], inference: Inference) -> list[Image]:
    """Person, upper body and head of each picture, each once, named and tagged; what cannot be used is set aside."""

    def cut_up(some: Sequence[Image]) -> list[tuple[Image, Print] | _Flawed]:
        found = [each for image in some for each in _crops_of(ctx, params, image, inference)]
        # While the pixels are at hand: few crops turn out to be repeats, and decoding all anew costs more.
        tags = iter(tags_of(params, inference, [each.pixels for each in found if isinstance(each, _Crop)]))
        return [
            each if isinstance(each, _Flawed) else (each.image.model_copy(update={"tags": next(tags)}), print_of(each.pixels))
            for each in found
        ]

    names = UniqueNames()
    crops: list[tuple[Image, Print]] = []
    for found in by_chunks(ctx, cut_up, pictures, "cutting 3-stage crops", "pictures"):
        if isinstance(found, _Flawed):
            ctx.reject(found.item, found.reason)
        else:
            image, print_ = found
            crops.append((image.model_copy(update={"name": names.take(image.name.removesuffix(".png"))}), print_))
    return _without_repeats(ctx, crops, params.near_duplicate)


def tags_of(params: PackageParams, inference: Inference, pictures: Sequence[PIL.Image.Image]) -> list[dict[str, float]]:
    """What the tagger says of each picture."""
    found = tag(inference, params.tagger_model, pictures, params.tag_threshold)
    return [{name: round(score, 4) for name, score in tags.items()} for tags in found]


def _crops_of(ctx: Context, params: PackageParams, image: Image, inference: Inference) -> Iterator[_Crop | _Flawed]:
    try:
        picture = read_picture(ctx.store.get(image.digest))
    except BadPicture as error:
        yield _Flawed(image.name, str(error))
        return
    boxes = image.boxes or tuple(_boxes_in(inference, params.detector_model, picture))
    cuts = list(cuts_of(image, boxes, params.crop_kinds))
    if not cuts:
        yield _Flawed(image.name, "no figure in it")
    for kind, cut in cuts:
        if (side := shortest_side(cut)) < params.min_crop_side:
            yield _Flawed(f"{image.name} {kind}", f"shortest side is {side} px, at least {params.min_crop_side} are wanted")
            continue
        pixels = picture.crop(cut)
        # A person that is the whole picture was cut out, and kept, before.
        is_kept = image.crop == "person" and pixels.size == picture.size
        digest = image.digest if is_kept else put_picture(ctx.store, pixels)[0]
        yield _Crop(described(image, kind, cut, boxes, digest.sha256, digest.size_bytes), pixels)


def _boxes_in(inference: Inference, model: str, picture: PIL.Image.Image) -> list[Box]:
    """Boxes for a picture that came without, from the model's own classes and thresholds."""
    entry = catalogue().detector(model)
    kinds = [KindThreshold(kind, entry.confidence, entry.iou) for kind in entry.classes if kind in ("person", *CROP_KINDS)]
    return detect(inference, model, [picture], kinds)[0]


def _without_repeats(ctx: Context, crops: Sequence[tuple[Image, Print]], limit: float) -> list[Image]:
    """One of each group of near-duplicates. Persons go first, so that a half body never displaces its person."""
    order = sorted(crops, key=lambda crop: crop[0].crop != "person")
    kept = set()
    for (image, _), original in zip(order, first_seen([print_ for _, print_ in order], limit), strict=True):
        if image is order[original][0]:
            kept.add(image.name)
        else:
            ctx.reject(image.name, f"nearly the same as {order[original][0].name}")
    return [image for image, _ in crops if image.name in kept]
