"""The evaluator as a stage: previews by Ray, scores by the inference server, the best step by the rule."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams, PinParams
from kyara_artifacts import FileSet, Image, ImageSet
from kyara_evaluator.choice import RULES
from kyara_evaluator.judging import Seen
from kyara_evaluator.likeness import Words
from kyara_evaluator.looking import look_at
from kyara_evaluator.pinning import pin
from kyara_evaluator.prompts import DrawnPrompt, prompts_of
from kyara_evaluator.request import DrawRequest, Lora
from kyara_evaluator.results import Scored, outputs
from kyara_evaluator.scoring import Preview
from kyara_evaluator.settings import EvaluatorSettings
from kyara_inference import Inference, base_model, catalogue, differences
from kyara_inference.own import pipeline_of
from kyara_inference.staging import digests_here, stage_errors
from kyara_rayjobs import RayRun, follow
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError

MOST_SEEDS = 64
DRAWN_WITH = "StableDiffusionPipeline"


async def run(ctx: StageContext[EvaluatorSettings], params: EvaluateParams, inputs: Inputs) -> Outputs:
    """Draw previews of every save and of the base model, score them against `dataset`, and choose the best save."""
    check(params)
    dataset, saves = ImageSet.load(ctx.store, inputs["dataset"]), FileSet.load(ctx.store, inputs["saves"])
    if not len(dataset) or not len(saves):
        raise StageError.precondition(f"the evaluator got {len(dataset)} pictures and {len(saves)} saves; it needs both")
    prompts = prompts_of(params, dataset.images)
    if not any(not prompt.stranger for prompt in prompts):
        raise StageError.invalid("evaluator: no prompt names the character; give one with {trigger} in `prompts`")
    with stage_errors():
        folder = _model_folder(params.preview_model, ctx.settings)
        if params.clip_model:
            catalogue().clip(params.clip_model)
        threshold = catalogue().ccip(params.ccip_model).threshold
        words = _words(FileSet.load(ctx.store, inputs["embeddings"]) if "embeddings" in inputs else FileSet(files=()))
        drawn = _drawn_before(ImageSet.load(ctx.store, inputs["drawn"]), prompts) if "drawn" in inputs else {}
        if missing := [request for request in _requests(params, prompts, saves, words) if str(request.step) not in drawn]:
            result = await follow(ctx, ctx.settings.ray, _on_ray(ctx.settings, folder, missing))
            drawn |= result["drawn"]
        saves, drawn = _fit(ctx, saves, drawn)
        previews = _previews(drawn, prompts)
        seen, texts, pictures = _seen(ctx, params, prompts, dataset, saves, previews, drawn)
    return outputs(ctx.store, params, saves, Scored.of(params, prompts, seen, texts, pictures, previews, threshold))


def check(params: EvaluateParams) -> None:
    """Raise StageError for params that nothing can be drawn with."""
    for name in ("width", "height", "sampler_steps"):
        if getattr(params, name) < 1:
            raise StageError.invalid(f"evaluator: {name} is {getattr(params, name)}; it must be at least 1")
    if not 0 <= params.seeds <= MOST_SEEDS:
        raise StageError.invalid(f"evaluator: seeds is {params.seeds}; it must be in 0..{MOST_SEEDS}")
    if params.choice not in ("", *RULES):
        raise StageError.invalid(f"evaluator: choice {params.choice!r}: there are {', '.join(RULES)}")
    for name in ("width", "height"):
        if getattr(params, name) % 8:
            raise StageError.invalid(f"evaluator: {name} {getattr(params, name)} must be a multiple of 8")


def _words(embeddings: FileSet) -> dict[int, Lora]:
    """The files of saves' own words by step."""
    return {file.meta["step"]: Lora(file.sha256, file.size) for file in embeddings.files}


def _drawn_before(previews: ImageSet, prompts: Sequence[DrawnPrompt]) -> dict[str, Any]:
    """Previews that an earlier evaluation of the same training drew, as Ray gives them, of steps that have all prompts."""
    by_place = {(image.step or 0, image.prompt): image for image in previews}
    steps = {step for step, _ in by_place if all((step, prompt.name) in by_place for prompt in prompts)}
    # What was not finite is black, and found to show nothing again.
    return {
        str(step): [
            {**by_place[step, prompt.name].model_dump(include={"sha256", "size", "width", "height"}), "finite": True}
            for prompt in prompts
        ]
        for step in sorted(steps)
    }


def _requests(
    params: EvaluateParams, prompts: Sequence[DrawnPrompt], saves: FileSet, words: Mapping[int, Lora]
) -> list[DrawRequest]:
    """What is to be drawn: the base model's previews, and every save's."""
    steps: list[tuple[int, Lora | None]] = [(0, None)]
    steps += [(file.meta["step"], Lora(file.sha256, file.size)) for file in saves.files]
    return [
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
            words=words.get(step),
            trigger=params.trigger,
            scheduler=params.scheduler,
        )
        for step, lora in steps
    ]


def _model_folder(name: str, settings: EvaluatorSettings) -> str:
    folder = base_model(name, settings.models)
    if (kind := pipeline_of(folder)) != DRAWN_WITH:
        raise StageError.precondition(f"evaluator: preview_model {name} is a {kind}; previews are drawn with a {DRAWN_WITH}")
    return str(folder)


def _on_ray(settings: EvaluatorSettings, model_folder: str, requests: Sequence[DrawRequest]) -> RayRun:
    placement = {
        "store": settings.store,
        "model_folder": model_folder,
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


def _fit(ctx: StageContext[EvaluatorSettings], saves: FileSet, drawn: dict[str, Any]) -> tuple[FileSet, dict[str, Any]]:
    """The saves that could be drawn with, and what was drawn; the others are set aside."""
    unfit = {int(step): why for step, why in drawn.items() if isinstance(why, str)}
    for file in saves.files:
        if file.meta["step"] in unfit:
            ctx.reject(file.name, unfit[file.meta["step"]])
    kept = tuple(file for file in saves.files if file.meta["step"] not in unfit)
    if not kept:
        raise StageError.precondition(
            f"none of the {len(saves)} LoRAs can be drawn with; the first: {next(iter(unfit.values()))}"
        )
    return saves.model_copy(update={"files": kept}), {step: each for step, each in drawn.items() if not isinstance(each, str)}


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


def _seen(
    ctx: StageContext[EvaluatorSettings],
    params: EvaluateParams,
    prompts: Sequence[DrawnPrompt],
    dataset: ImageSet,
    saves: FileSet,
    previews: list[Image],
    drawn: dict[str, list[dict[str, Any]]],
) -> tuple[Seen, list[float | None], list[Image]]:
    """What is seen of previews and dataset, how like its prompt's words each preview is, and the pictures that can be read."""
    with Inference(ctx.settings.inference, ctx.settings.models) as inference:
        words, no_words = Words(inference, params.clip_model, prompts), Words(inference, "", [])
        known = look_at(ctx, inference, dataset.images, params.ccip_model, "", no_words, "looking at the dataset")
        if not known.images:
            raise StageError.precondition("none of the dataset's pictures can be read, so nothing can be compared with it")
        shown = look_at(ctx, inference, previews, params.ccip_model, params.tagger_model, words, "looking at the previews")
        pairs = differences(inference, params.ccip_model, np.concatenate([shown.vectors, known.vectors]))
    finite = [picture["finite"] for step in sorted(drawn, key=int) for picture in drawn[step]]
    judged = [
        Preview(image.step or 0, image.prompt or "", not ok or empty)
        for image, ok, empty in zip(previews, finite, shown.empty, strict=True)
    ]
    count = len(previews)
    seen = Seen(
        judged,
        pairs[:count, count:],
        pairs[count:, count:],
        shown.layouts,
        known.layouts,
        shown.tags,
        _trained(saves, known.images),
    )
    return seen, shown.texts, known.images


def _trained(saves: FileSet, pictures: Sequence[Image]) -> dict[int, np.ndarray]:
    """Which of the pictures each save was trained on, where its training says what it held back."""
    held_back = {file.meta["step"]: frozenset(file.meta["held_back"]) for file in saves.files if "held_back" in file.meta}
    return {step: np.array([image.sha256 not in held for image in pictures]) for step, held in held_back.items()}


OPERATIONS = (
    Operation(name="evaluator", version=7, params=EvaluateParams, run=run, models=digests_here),
    Operation(name="evaluator.pin", version=1, params=PinParams, run=pin, cached=False),
)
