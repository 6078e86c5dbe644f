"""What a demo job reached, measured against the episode's ground truth."""

from collections import Counter
from statistics import mean
from typing import Any

from sklearn.metrics import adjusted_rand_score

from kyara.jobs.v1.jobs_pb2 import Job, StageStatus
from kyara_artifacts import Corners, Image, ImageSet, Store, get_json, overlap
from kyara_miniature.episode import EpisodeTruth
from kyara_miniature.scene import FigureTruth

SHORTEST_SHOT_S = 0.7
SMALLEST_FIGURE_PX = 64
SAME_BOX_IOU = 0.5
PURE_SHARE = 0.8
"""A cluster shows a character when so much of it is that character."""


def measured(store: Store, job: Job, truth: EpisodeTruth) -> dict[str, Any]:
    """The numbers of results.json."""
    frames = ImageSet.load(store, _stage(job, "keyframer").outputs["frames"])
    figures = ImageSet.load(store, _stage(job, "detector").outputs["images"])
    clusters = ImageSet.load(store, _stage(job, "clusterer").outputs["clusters"])
    shots = [shot for shot in truth.shots if shot.kind == "scene" and shot.end_s - shot.start_s >= SHORTEST_SHOT_S]
    seen = [any(shot.start_s <= (frame.time_s or 0) < shot.end_s for frame in frames) for shot in shots]
    identities = identities_of(clusters, figures, truth)
    characters = [_character(store, job, each.name) for each in job.characters if each.best_step]
    return {
        "seconds_by_stage": _seconds(job),
        "frames": len(frames),
        "shots": len(shots),
        "shots_with_frame": sum(seen),
        "person_recall": person_recall(figures, truth),
        "crops": len(clusters),
        "cluster_ari": cluster_ari(clusters, identities),
        "characters_true": len(truth.main),
        "characters_found": len(set(truth.main) & shown_characters(clusters, identities)),
        "characters": characters,
        **({key: value for key, value in characters[0].items() if key != "name"} if characters else {}),
    }


def person_recall(figures: ImageSet, truth: EpisodeTruth) -> float:
    """Share of the figures at least 64 px tall, in the frames, whose person box was found."""
    found = wanted = 0
    for frame in figures:
        boxes = [box.corners for box in frame.boxes if box.kind == "person"]
        for figure in _figures(frame, truth):
            if (person := _person(figure)) and person[3] - person[1] >= SMALLEST_FIGURE_PX:
                wanted += 1
                found += any(overlap(person, box) >= SAME_BOX_IOU for box in boxes)
    return round(found / wanted, 4) if wanted else 0.0


def identities_of(clusters: ImageSet, figures: ImageSet, truth: EpisodeTruth) -> dict[str, str]:
    """The true identity of each crop, by name; crops that fit no figure are left out."""
    return {name: figure.identity for name, figure in shown_figures(clusters, figures, truth).items()}


def shown_figures(crops: ImageSet, figures: ImageSet, truth: EpisodeTruth) -> dict[str, FigureTruth]:
    """The true figure of each crop, by name; crops that fit no figure are left out."""
    frames = {frame.name: frame for frame in figures}
    shown: dict[str, FigureTruth] = {}
    for crop in crops:
        if crop.parent_box and crop.parent in frames:
            figure = figure_at(crop.parent_box, frames[crop.parent].time_s or 0.0, truth)
            if figure:
                shown[crop.name] = figure
    return shown


def figure_at(box: Corners, time_s: float, truth: EpisodeTruth) -> FigureTruth | None:
    """The figure whose person box is most like `box` at a time, when one is."""
    candidates = [(figure, person) for figure in truth.at(time_s) if (person := _person(figure))]
    figure, person = max(candidates, key=lambda pair: overlap(pair[1], box), default=(None, box))
    return figure if overlap(person, box) >= SAME_BOX_IOU else None


def cluster_ari(clusters: ImageSet, identities: dict[str, str]) -> float:
    """Adjusted Rand index of the clusters against the identities; noise counts as one cluster."""
    known = [crop for crop in clusters if crop.name in identities]
    return round(float(adjusted_rand_score([identities[crop.name] for crop in known], [crop.index for crop in known])), 4)


def shown_characters(clusters: ImageSet, identities: dict[str, str]) -> set[str]:
    """Identities that have a cluster of their own."""
    shown: set[str] = set()
    for index in {crop.index for crop in clusters if crop.index is not None and crop.index >= 0}:
        members = Counter(identities.get(crop.name, "") for crop in clusters if crop.index == index)
        identity, count = members.most_common(1)[0]
        if count >= PURE_SHARE * members.total():
            shown.add(identity)
    return shown


def _character(store: Store, job: Job, name: str) -> dict[str, Any]:
    scores = get_json(store, _stage(job, "evaluator", name).outputs["scores"])
    loss = get_json(store, _stage(job, "trainer", name).outputs["log"])["loss"]
    tenth = max(1, len(loss) // 10)
    by_step = {step["step"]: round(step["recscore"], 4) for step in scores["steps"]}
    return {
        "name": name,
        "train_steps": max(by_step),
        # One step's loss depends most on its noise level: the mean of a tenth of the steps says more.
        "loss_first": round(mean(loss[:tenth]), 5),
        "loss_last": round(mean(loss[-tenth:]), 5),
        "recscore_base": round(scores["base"]["recscore"], 4),
        "recscore_by_step": by_step,
        "best_step": scores["best_step"],
        "recscore_best": by_step[scores["best_step"]],
    }


def _stage(job: Job, stage: str, subject: str | None = None) -> StageStatus:
    return next(each for each in job.stages if each.stage == stage and subject in (None, each.subject))


def _seconds(job: Job) -> dict[str, float]:
    seconds: Counter[str] = Counter()
    for stage in job.stages:
        seconds[stage.stage] += stage.seconds  # type: ignore[assignment]
    return {stage: round(total, 1) for stage, total in seconds.items()}


def _figures(frame: Image, truth: EpisodeTruth) -> list[FigureTruth]:
    return truth.at(frame.time_s or 0.0)


def _person(figure: FigureTruth) -> Corners | None:
    return next(((box.x0, box.y0, box.x1, box.y1) for box in figure.boxes if box.kind == "person"), None)
