"""`curator.clean`: inputs `frames_NNN`, output `crops`."""

from collections.abc import Iterable
from typing import TypeVar

import PIL.Image

from kyara.curator.v1.curator_pb2 import CleanParams
from kyara_artifacts import Image, ImageSet, put_picture, read_picture, side_by_side
from kyara_curator.cleaning import Candidate, Counts, Rules, by_frame, clean
from kyara_curator.settings import CuratorSettings
from kyara_stage import Inputs, Outputs, StageContext, StageError

T = TypeVar("T")


async def run(ctx: StageContext[CuratorSettings], params: CleanParams, inputs: Inputs) -> Outputs:
    """Cut every person out that stands alone in its box, once."""
    if not inputs:
        raise StageError.invalid("curator.clean: input frames_000 is missing; give an image set with boxes")
    frames = [image for name in sorted(inputs) for image in ImageSet.load(ctx.store, inputs[name])]
    counts = Counts()
    found = clean(frames, _rules(params), _Bench(ctx), counts)
    ctx.log.info("cleaned", **counts.steps)
    if not found:
        raise StageError.precondition(_nothing_left(counts))
    crops = tuple(cut(ctx, found))
    return {
        "crops": ImageSet(
            images=crops, meta={"steps": [{"step": step, "left": left} for step, left in counts.steps.items()]}
        ).save(ctx.store)
    }


def _rules(params: CleanParams) -> Rules:
    if params.min_side < 0:
        raise StageError.invalid(f"curator.clean: min_side is {params.min_side} px; it must be 0 or more")
    if not 0 <= params.near_duplicate <= 1:
        raise StageError.invalid(f"curator.clean: near_duplicate is {params.near_duplicate}; it must be in 0..1")
    if not 0 <= params.min_quality <= 1:
        raise StageError.invalid(f"curator.clean: min_quality is {params.min_quality}; it must be in 0..1")
    return Rules(
        min_side=max(1, params.min_side),
        near_duplicate=params.near_duplicate,
        drop_monochrome=params.drop_monochrome,
        exactly_one_face=params.exactly_one_face,
        min_quality=params.min_quality,
    )


def _nothing_left(counts: Counts) -> str:
    if not counts.steps["persons"]:
        hint = "no person was found in any: is there a figure in the video, and does the detector fit its style?"
    else:
        lost = next(step for step, count in counts.steps.items() if not count)
        hint = f"the step '{lost}' let none pass; the list of rejected items says why, the recipe's cleaning section sets it"
    return f"no crops are left of {counts.steps['frames']} frames ({counts}): {hint}"


def cut(ctx: StageContext[CuratorSettings], found: list[Candidate]) -> Iterable[Image]:
    """The crops, in the store and described, in the order of their frames."""

    def kept(group: list[Candidate]) -> list[Image]:
        picture = read_picture(ctx.store.get(group[0].frame.digest))
        digests = [put_picture(ctx.store, each.cut(picture))[0] for each in group]
        return [each.described(digest.sha256, digest.size_bytes) for each, digest in zip(group, digests, strict=True)]

    groups = by_frame(found).values()
    for crops in ctx.track(side_by_side(kept, groups), "cutting crops", "frames", len(groups)):
        yield from crops


class _Bench:
    """What cleaning needs of its context."""

    def __init__(self, ctx: StageContext[CuratorSettings]) -> None:
        self._ctx = ctx
        self.reject = ctx.reject

    def read(self, frame: Image) -> PIL.Image.Image:
        return read_picture(self._ctx.store.get(frame.digest))

    def track(self, frames: Iterable[T], count: int, phase: str) -> Iterable[T]:
        return self._ctx.track(frames, phase, "frames", count)
