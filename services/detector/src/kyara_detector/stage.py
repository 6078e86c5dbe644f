"""The stage `detector`: input `images`, output `images`, the same set with boxes.

An image's boxes come by kind in the order asked, best score first, then those that a closer look added.
"""

import PIL.Image

from kyara.detector.v1.detector_pb2 import DetectParams, Threshold
from kyara_artifacts import Image, ImageSet, side_by_side
from kyara_detector.closer import look_closer
from kyara_detector.settings import DetectorSettings
from kyara_inference import Inference, KindThreshold, UnknownModel, catalogue, detect, digests_of
from kyara_inference.staging import AT_ONCE, pictures_of, stage_errors
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError


async def run(ctx: StageContext[DetectorSettings], params: DetectParams, inputs: Inputs) -> Outputs:
    """Find every kind asked for in every image; an image without a figure stays, without boxes."""
    images = ImageSet.load(ctx.store, inputs["images"])
    found: list[Image] = []
    with stage_errors(), Inference(ctx.settings.inference) as inference:
        wanted = _by_model(params)

        def looked_at(chunk: list[tuple[Image, PIL.Image.Image]]) -> list[Image]:
            pictures = [picture for _, picture in chunk]
            answers = [detect(inference, model, pictures, kinds) for model, kinds in wanted.items()]
            at_first = [[box for some in boxes for box in some] for boxes in zip(*answers, strict=True)]
            closer = look_closer(inference, wanted, pictures, at_first)
            return [image.model_copy(update={"boxes": tuple(boxes)}) for (image, _), boxes in zip(chunk, closer, strict=True)]

        for some in side_by_side(looked_at, pictures_of(ctx, images.images, "looking for figures"), AT_ONCE):
            found += some
    return {"images": ImageSet(images=tuple(found), meta=images.meta).save(ctx.store)}


def _by_model(params: DetectParams) -> dict[str, list[KindThreshold]]:
    """What to ask of each model. Raises StageError for thresholds that make no sense, UnknownModel."""
    if not params.kinds:
        raise StageError.invalid("detector: no kind of box is asked for; give `kinds`, for example person and face")
    wanted: dict[str, list[KindThreshold]] = {}
    for asked in params.kinds:
        wanted.setdefault(asked.model, []).append(_threshold(asked))
    return wanted


def _threshold(asked: Threshold) -> KindThreshold:
    """One kind; a threshold of 0 is the model's own default."""
    entry = catalogue().detector(asked.model)
    if asked.kind not in entry.classes:
        raise UnknownModel(f"detector {asked.model} knows {', '.join(entry.classes)}, not {asked.kind!r}")
    for name, value in (("confidence", asked.confidence), ("iou", asked.iou)):
        if not 0 <= value <= 1:
            raise StageError.invalid(f"detector: {name} of {asked.kind} is {value:g}; it must be between 0 and 1")
    return KindThreshold(asked.kind, asked.confidence or entry.confidence, asked.iou or entry.iou)


OPERATIONS = (Operation(name="detector", version=2, params=DetectParams, run=run, models=digests_of),)
