"""`curator.web`: input `images` (one character's, with boxes), maybe `anchors`; outputs `crops`, `report`, `sheet_NN`."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import PIL.Image

from kyara.curator.v1.curator_pb2 import WebParams
from kyara_artifacts import BadPicture, Image, ImageSet, read_picture, side_by_side
from kyara_curator.chain import Chain
from kyara_curator.clean_stage import cut
from kyara_curator.cleaning import Candidate, Seen, by_frame, seen_as
from kyara_curator.consistency import Shares
from kyara_curator.framing import Framing, framing_of
from kyara_curator.geometry import best_of, padded
from kyara_curator.looks import is_monochrome, print_of
from kyara_curator.settings import CuratorSettings
from kyara_curator.web import Crop, Eyes, Glance, WebRules, clean_web
from kyara_inference import Inference, catalogue, classify, differences, embed
from kyara_inference.staging import by_chunks, stage_errors
from kyara_stage import Inputs, Outputs, StageContext, StageError

Context = StageContext[CuratorSettings]

_CLOSE_UP = 0.8
"""Height of the head in a close-up, of the picture's."""


async def run(ctx: Context, params: WebParams, inputs: Inputs) -> Outputs:
    """Cut out the figure of every picture that shows the character, and say at each step what was set aside, and why."""
    rules = _rules(params)
    images = ImageSet.load(ctx.store, inputs["images"]).images
    known = ImageSet.load(ctx.store, inputs["anchors"]).images if "anchors" in inputs else ()
    chain = Chain(ctx.reject)
    with stage_errors(), Inference(ctx.settings.inference, ctx.settings.models) as inference:
        eyes = Eyes(
            glance=partial(_glances, ctx, params, inference),
            crops=partial(_crops, ctx, params, inference),
            same=partial(_same, inference, params),
        )
        anchors = embed(inference, params.ccip_model, [_figure_in(ctx, image) for image in known])
        found = clean_web(images, anchors, rules, eyes, chain)
    ctx.log.info("cleaned", steps=str(chain))
    if len(found) < max(1, params.min_images):
        raise StageError.precondition(
            f"{len(found)} of {len(images)} pictures are left, at least {max(1, params.min_images)} are wanted ({chain}); "
            "give more pictures of the character, or loosen the step of the recipe that sets most aside"
        )
    saved = chain.save(ctx.store)
    crops = ImageSet(images=tuple(cut(ctx, found)), meta={"report": saved["report"].digest.sha256})
    return {"crops": crops.save(ctx.store), **saved}


def _rules(params: WebParams) -> WebRules:
    if params.min_side < 0:
        raise StageError.invalid(f"curator.web: min_side is {params.min_side} px; it must be 0 or more")
    for name in ("near_duplicate", "cluster_share", "match_share", "min_quality"):
        if not 0 <= getattr(params, name) <= 1:
            raise StageError.invalid(f"curator.web: {name} is {getattr(params, name):g}; it must be in 0..1")
    return WebRules(
        drop_monochrome=params.drop_monochrome,
        kinds=tuple(params.kinds),
        ratings=tuple(params.ratings),
        near_duplicate=params.near_duplicate,
        shares=Shares(params.cluster_share, params.match_share),
        min_quality=params.min_quality,
        min_side=max(1, params.min_side),
    )


def _glances(ctx: Context, params: WebParams, inference: Inference, images: Sequence[Image]) -> list[Glance]:
    def glanced(image: Image) -> tuple[Glance, PIL.Image.Image | None]:
        try:
            picture = read_picture(ctx.store.get(image.digest))
        except BadPicture as error:
            return Glance(image, flaw=str(error)), None
        return Glance(image, print_of(picture), is_monochrome(picture)), picture if models else None

    models = [model for model in (params.kind_model, params.rating_model) if model]

    def labelled(some: Sequence[Image]) -> list[Glance]:
        glances = list(side_by_side(glanced, some))
        good = [picture for _, picture in glances if picture]
        kinds, ratings = (iter(_labels(inference, model, good)) for model in (params.kind_model, params.rating_model))
        return [replace(each, kind=next(kinds), rating=next(ratings)) if picture else each for each, picture in glances]

    return by_chunks(ctx, labelled, images, "looking at pictures", "pictures")


def _labels(inference: Inference, model: str, pictures: Sequence[PIL.Image.Image]) -> list[str]:
    """What a classifier says of each picture, in a word; nothing where the recipe names no model."""
    return [next(iter(scores)) for scores in classify(inference, model, pictures)] if model else [""] * len(pictures)


def _crops(ctx: Context, params: WebParams, inference: Inference, candidates: Sequence[Candidate]) -> list[Crop]:
    """How candidates look, and whom they show; a few decoded pictures at a time, vectors by chunks."""

    def looked_at(group: Sequence[Candidate]) -> list[tuple[Seen, PIL.Image.Image]]:
        picture = read_picture(ctx.store.get(group[0].frame.digest))
        cuts = [each.cut(picture) for each in group]
        return [(seen_as(each, crop, _framing_of(each)), crop) for each, crop in zip(group, cuts, strict=True)]

    def known(groups: Sequence[Sequence[Candidate]]) -> list[Crop]:
        looks = [each for looks in side_by_side(looked_at, groups) for each in looks]
        vectors = embed(inference, params.ccip_model, [crop for _, crop in looks])
        return [Crop(seen, vector) for (seen, _), vector in zip(looks, vectors, strict=True)]

    return by_chunks(ctx, known, list(by_frame(candidates).values()), "looking at persons", "pictures")


def _framing_of(candidate: Candidate) -> Framing:
    """Nobody stands before the only figure of a picture; what else tells of a hidden face in video finds hats and glasses.
    A picture that is nearly all head was framed so on purpose."""
    framing = replace(framing_of(candidate.person, candidate.frame), occlusion=0.0)
    head = best_of(candidate.boxes, "head")
    is_close_up = head and head.y1 - head.y0 >= _CLOSE_UP * candidate.frame.height
    return replace(framing, cut_off=0.0) if is_close_up else framing


def _same(inference: Inference, params: WebParams, vectors: np.ndarray) -> np.ndarray:
    return differences(inference, params.ccip_model, vectors) <= catalogue().ccip(params.ccip_model).threshold


def _figure_in(ctx: Context, image: Image) -> PIL.Image.Image:
    """An anchor's figure, or all of it where no box says where that is."""
    try:
        picture = read_picture(ctx.store.get(image.digest))
    except BadPicture as error:
        raise StageError.invalid(f"curator.web: anchor {image.name} {error}; give another picture") from error
    person = best_of(image.boxes, "person") if image.crop != "person" else None
    return picture.crop(padded(person, image.width, image.height)) if person else picture
