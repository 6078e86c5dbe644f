"""The evaluator as a stage: previews by Ray, scores by the inference server, the best step by the rule."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image

from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import File, FileSet, Image, ImageSet, Store, put_json, read_picture, ref
from kyara_evaluator.figures import preview_sheet, score_curve
from kyara_evaluator.prompts import DrawnPrompt, prompts_of
from kyara_evaluator.request import DrawRequest, Lora
from kyara_evaluator.scoring import Preview, StepScore, best_step, score_steps, shows_nothing
from kyara_evaluator.settings import EvaluatorSettings
from kyara_inference import Inference, catalogue, differences, digests_of, embed, local_path
from kyara_inference.staging import pictures_of, stage_errors
from kyara_rayjobs import RayRun, follow
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError

PNG = "image/png"


async def run(ctx: StageContext[EvaluatorSettings], params: EvaluateParams, inputs: Inputs) -> Outputs:
    """Draw previews of every save and of the base model, score them against `dataset`, and choose the best save."""
    check(params)
    dataset, saves = ImageSet.load(ctx.store, inputs["dataset"]), FileSet.load(ctx.store, inputs["saves"])
    if not len(dataset) or not len(saves):
        raise StageError.precondition(f"the evaluator got {len(dataset)} pictures and {len(saves)} saves; it needs both")
    prompts = prompts_of(params, dataset.images)
    if not prompts:
        raise StageError.invalid("evaluator: no prompts; give `prompts`, or let `max_pattern_prompts` be at least 1")
    with stage_errors():
        catalogue().diffusion(params.preview_model)
        threshold = catalogue().ccip(params.ccip_model).threshold
        result = await follow(ctx, ctx.settings.ray, _on_ray(ctx.settings, params, prompts, saves))
        previews = _previews(result["drawn"], prompts)
        scores, images = _scored(ctx, params.ccip_model, dataset, previews, result["drawn"], threshold)
    return _outputs(ctx.store, params, prompts, saves, scores, images, (threshold, len(dataset)))


def check(params: EvaluateParams) -> None:
    """Raise StageError for params that nothing can be drawn with."""
    for name in ("width", "height", "sampler_steps"):
        if getattr(params, name) < 1:
            raise StageError.invalid(f"evaluator: {name} is {getattr(params, name)}; it must be at least 1")
    for name in ("width", "height"):
        if getattr(params, name) % 8:
            raise StageError.invalid(f"evaluator: {name} {getattr(params, name)} must be a multiple of 8")


def _on_ray(settings: EvaluatorSettings, params: EvaluateParams, prompts: Sequence[DrawnPrompt], saves: FileSet) -> RayRun:
    steps: list[tuple[int, Lora | None]] = [(0, None)]
    steps += [(file.meta["step"], Lora(file.sha256, file.size)) for file in saves.files]
    requests = [
        DrawRequest(
            step=step,
            lora=lora,
            prompts=[prompt.to_json() for prompt in prompts],
            width=params.width,
            height=params.height,
            sampler_steps=params.sampler_steps,
            guidance=params.guidance,
            clip_skip=params.clip_skip,
            lora_weight=params.lora_weight or 1.0,
        )
        for step, lora in steps
    ]
    placement = {
        "store": settings.store,
        "model_folder": str(local_path(params.preview_model, settings.models)),
        **settings.model_dump(include={"threads", "num_cpus", "num_gpus", "max_replicas", "idle_s"}),
    }
    spec = {
        "store": settings.store,
        "requests": [request.to_json() for request in requests],
        "placement": placement,
        "num_gpus": settings.num_gpus,
        "traces": settings.traces,
    }
    return RayRun("evaluator", "kyara_evaluator.ray_job", spec, settings.python)


def _previews(drawn: dict[str, list[dict[str, Any]]], prompts: Sequence[DrawnPrompt]) -> list[Image]:
    return [
        Image(
            name=f"{step:06d}/{prompt.name}.png",
            sha256=picture["sha256"],
            size=picture["size"],
            width=picture["width"],
            height=picture["height"],
            step=step,
            prompt=prompt.name,
            seed=prompt.seed,
            caption=prompt.text,
        )
        for step, pictures in sorted((int(step), pictures) for step, pictures in drawn.items())
        for prompt, picture in zip(prompts, pictures, strict=True)
    ]


def _scored(
    ctx: StageContext[EvaluatorSettings],
    model: str,
    dataset: ImageSet,
    previews: list[Image],
    drawn: dict[str, list[dict[str, Any]]],
    threshold: float,
) -> tuple[list[StepScore], list[Image]]:
    """Scores by step, and the previews with their own in them."""
    with Inference(ctx.settings.inference) as inference:
        known = _embedded(ctx, inference, model, dataset.images, "looking at the dataset")
        if not len(known):
            raise StageError.precondition("none of the dataset's pictures can be read, so nothing can be compared with it")
        shown = _embedded(ctx, inference, model, previews, "looking at the previews")
        pairs = differences(inference, model, np.concatenate([shown, known]))[: len(shown), len(shown) :]
    finite = [picture["finite"] for step in sorted(drawn, key=int) for picture in drawn[step]]
    flat = [shows_nothing(np.asarray(read_picture(data))) for data in ctx.store.get_all([image.digest for image in previews])]
    judged = [
        Preview(image.step or 0, image.prompt or "", not ok or empty)
        for image, ok, empty in zip(previews, finite, flat, strict=True)
    ]
    scores = score_steps(judged, pairs, threshold)
    by_step = {score.step: score for score in scores}
    noted = [
        image.model_copy(
            update={
                "scores": {"recscore": by_step[preview.step].per_prompt[preview.prompt]},
                "note": "corrupt" if preview.corrupt else "",
            }
        )
        for image, preview in zip(previews, judged, strict=True)
    ]
    return scores, noted


def _embedded(
    ctx: StageContext[EvaluatorSettings], inference: Inference, model: str, images: Sequence[Image], phase: str
) -> np.ndarray:
    chunks = [embed(inference, model, [picture for _, picture in chunk]) for chunk in pictures_of(ctx, images, phase)]
    return np.concatenate([embed(inference, model, []), *chunks])


def _outputs(
    store: Store,
    params: EvaluateParams,
    prompts: Sequence[DrawnPrompt],
    saves: FileSet,
    scores: Sequence[StepScore],
    previews: list[Image],
    facts: tuple[float, int],
) -> Outputs:
    threshold, images = facts
    base, *trained = scores
    best, rule = best_step(trained, images, params.min_steps_per_image)
    record = {
        "prompts": [prompt.to_json() for prompt in prompts],
        "base": {"recscore": base.recscore, "mean_difference": base.mean_difference},
        "steps": [score.to_json() for score in trained],
        "best_step": best,
        "rule": rule,
        "threshold": threshold,
        "images": images,
    }
    pictures = _pictures(store, previews)
    return {
        "previews": ImageSet(images=tuple(previews), meta={"best_step": best}).save(store),
        "scores": put_json(store, "scores", record),
        "sheet": ref("sheet", store.put(preview_sheet(pictures, [prompt.name for prompt in prompts], scores, best)), PNG),
        "curve": ref("curve", store.put(score_curve(trained, base, best)), PNG),
        "best": _lora(next(file for file in saves.files if file.meta["step"] == best)),
    }


def _pictures(store: Store, previews: Sequence[Image]) -> dict[tuple[int, str], PIL.Image.Image]:
    data = store.get_all([image.digest for image in previews])
    return {(image.step or 0, image.prompt or ""): read_picture(each) for image, each in zip(previews, data, strict=True)}


def _lora(file: File) -> ArtifactRef:
    return ref("lora", file.digest, file.media_type or "application/x-safetensors")


OPERATIONS = (Operation(name="evaluator", version=1, params=EvaluateParams, run=run, models=digests_of),)
