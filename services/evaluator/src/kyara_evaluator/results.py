"""What the evaluator gives: previews with their marks, the scores as JSON, a sheet, a curve, a page, and the best save."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import PIL.Image

from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import File, FileSet, Image, ImageSet, Store, put_json, read_picture, ref
from kyara_evaluator.choice import Judged, balanced_best, front_of, idle_saves, reason
from kyara_evaluator.control import contradictions
from kyara_evaluator.figures import preview_sheet, score_curve
from kyara_evaluator.judging import PreviewMarks, Seen, Verdicts, judge
from kyara_evaluator.likeness import Likeness, likenesses
from kyara_evaluator.prompts import DrawnPrompt
from kyara_evaluator.report import Looked, report_html
from kyara_evaluator.scoring import StepScore, best_step, eligible, score_steps
from kyara_stage import Outputs

PNG = "image/png"


@dataclass(frozen=True)
class Scored:
    """Everything that was found out, base model first."""

    prompts: Sequence[DrawnPrompt]
    recscores: list[StepScore]
    verdicts: Verdicts
    likenesses: dict[int, Likeness]
    """By step."""
    previews: list[Image]
    pictures: Sequence[Image]
    """Of the dataset."""
    threshold: float

    @classmethod
    def of(
        cls,
        params: EvaluateParams,
        prompts: Sequence[DrawnPrompt],
        seen: Seen,
        texts: Sequence[float | None],
        pictures: Sequence[Image],
        previews: list[Image],
        threshold: float,
    ) -> Self:
        """Judge what was seen of `previews`, of what they show of their `texts`, and of the dataset's `pictures`."""
        strangers = {prompt.name for prompt in prompts if prompt.stranger}
        named = [row for row, each in enumerate(seen.previews) if each.prompt not in strangers]
        recscores = score_steps([seen.previews[row] for row in named], seen.differences[named], threshold)
        verdicts = judge(seen, prompts, params.core_tags, threshold)
        noted = [
            _noted(image, marks, text, recscores, pictures[marks.nearest], corrupt=preview.corrupt)
            for image, marks, text, preview in zip(previews, verdicts.previews, texts, seen.previews, strict=True)
        ]
        return cls(prompts, recscores, verdicts, likenesses(seen.previews, prompts, texts), noted, pictures, threshold)

    def looked(self) -> list[Looked]:
        """Each preview with the picture that it is most alike."""
        marks = self.verdicts.previews
        return [Looked(image, self.pictures[mark.nearest]) for image, mark in zip(self.previews, marks, strict=True)]

    def choice(self, params: EvaluateParams) -> tuple[int, str, dict[int, str]]:
        """The best step, the rule that chose it, and for each step why it was chosen or not."""
        _, *trained = self.recscores
        published, rule = best_step(trained, len(self.pictures), params.min_steps_per_image)
        allowed = {score.step for score in eligible(trained, len(self.pictures), params.min_steps_per_image)}
        judged = [marks.judged() for marks in self.verdicts.steps if marks.step in allowed]
        if params.choice != "balanced":
            return published, rule, {score.step: _published_reason(score, published, allowed) for score in trained}
        best = balanced_best(judged)
        why = {save.step: reason(save, best, judged) for save in judged}
        late = f"under {params.min_steps_per_image:g} steps a picture"
        return (
            best.step,
            "highest balance of fidelity, control and own pictures on the Pareto front; the earliest of equals",
            {score.step: why.get(score.step, late) for score in trained},
        )


def outputs(store: Store, params: EvaluateParams, saves: FileSet, scored: Scored) -> Outputs:
    """The stage's outputs."""
    best, rule, why = scored.choice(params)
    base, *trained = scored.recscores
    pictures = _pictures(store, scored.previews)
    names = [prompt.name for prompt in scored.prompts]
    record = _record(params, scored, best, rule, why)
    curve = score_curve(trained, base, scored.verdicts.steps, best, scored.likenesses)
    report = report_html(store, params, record, pictures, scored.looked(), scored.pictures, curve)
    return {
        "previews": ImageSet(images=tuple(scored.previews), meta={"best_step": best}).save(store),
        "scores": put_json(store, "scores", record),
        "sheet": ref("sheet", store.put(preview_sheet(pictures, names, scored.recscores, best)), PNG),
        "curve": ref("curve", store.put(curve), PNG),
        "report": ref("report", store.put(report), "text/html"),
        "best": _lora(next(file for file in saves.files if file.meta["step"] == best)),
    }


def _record(params: EvaluateParams, scored: Scored, best: int, rule: str, why: dict[int, str]) -> dict[str, Any]:
    base, *trained = scored.recscores
    marks = {each.step: each for each in scored.verdicts.steps}
    all_marks = {step: each.to_json() | scored.likenesses[step].to_json() for step, each in marks.items()}
    judged = {step: each.judged() for step, each in marks.items() if step}
    front = {save.step for save in front_of(list(judged.values()))}
    core = list(params.core_tags)
    return {
        "prompts": [{**prompt.to_json(), "contradicts": contradictions(prompt.text, core)} for prompt in scored.prompts],
        "base": {"recscore": base.recscore, "mean_difference": base.mean_difference, **all_marks[0]},
        "steps": [_row(score, all_marks[score.step], judged[score.step], score.step in front, why) for score in trained],
        "best_step": best,
        "rule": rule,
        "idle_saves": idle_saves(list(judged.values())),
        "scale": {"own": scored.verdicts.scale.own, "strangers": scored.verdicts.scale.strangers},
        "threshold": scored.threshold,
        "images": len(scored.pictures),
    }


def _row(score: StepScore, marks: dict[str, Any], judged: Judged, front: bool, why: dict[int, str]) -> dict[str, Any]:
    return {**score.to_json(), **marks, "balance": judged.balance, "front": front, "why": why[score.step]}


def _noted(
    image: Image, marks: PreviewMarks, text: float | None, scores: Sequence[StepScore], nearest: Image, *, corrupt: bool
) -> Image:
    """A preview with its marks in it."""
    of_step = next(score for score in scores if score.step == (image.step or 0))
    told = {
        "recscore": of_step.per_prompt.get(image.prompt or ""),
        "fidelity": marks.fidelity,
        "obeyed": marks.obeyed,
        "text": text,
        "alike": round(marks.alike, 4),
    }
    note = "corrupt" if corrupt else f"a copy of {nearest.name}" if marks.copy else ""
    return image.model_copy(update={"scores": {k: v for k, v in told.items() if v is not None}, "note": note})


def _published_reason(score: StepScore, best: int, allowed: set[int]) -> str:
    if score.step == best:
        return f"chosen: RecScore {score.recscore:.3f}"
    return f"RecScore {score.recscore:.3f}" + ("" if score.step in allowed else ", and too few steps a picture")


def _pictures(store: Store, previews: Sequence[Image]) -> dict[tuple[int, str], PIL.Image.Image]:
    data = store.get_all([image.digest for image in previews])
    return {(image.step or 0, image.prompt or ""): read_picture(each) for image, each in zip(previews, data, strict=True)}


def _lora(file: File) -> ArtifactRef:
    return ref("lora", file.digest, file.media_type or "application/x-safetensors")
