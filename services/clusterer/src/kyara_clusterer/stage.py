"""The stage `clusterer`: inputs `crops`, `vectors`; outputs `clusters`, `character_NNN`, `noise`, `summary`, `sheet`."""

import json
from collections.abc import Sequence

import numpy as np
import PIL.Image
from safetensors import safe_open

from kyara.clusterer.v1.clusterer_pb2 import ClusterParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Image, ImageSet, contact_sheet, put_json, read_picture, ref
from kyara_clusterer.refine import Refined, refine
from kyara_clusterer.relation import Relation, relate
from kyara_clusterer.search import NOISE, Partition, ranked, search, settings_for
from kyara_clusterer.settings import ClustererSettings
from kyara_inference import Inference, catalogue, differences, digests_of
from kyara_inference.staging import stage_errors
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError

Context = StageContext[ClustererSettings]

_SHOWN_ROWS = 40
_SHOWN_COLUMNS = 8
_CELL = 128


async def run(ctx: Context, params: ClusterParams, inputs: Inputs) -> Outputs:
    """Tell the characters among `crops` apart."""
    _check(params)
    crops, features = _crops_with_vectors(ctx, inputs)
    if len(crops) < params.min_cluster_size:
        raise StageError.precondition(
            f"no characters can be told apart: there are {len(crops)} crops of persons, and a character needs at least "
            f"{params.min_cluster_size}; is the video too short, or the recipe's cleaning too strict?"
        )
    with stage_errors(), Inference(ctx.settings.inference) as inference:
        threshold = catalogue().ccip(params.model).threshold
        relation = relate(crops, differences(inference, params.model, features), threshold)
    settings = settings_for(len(crops), params.min_cluster_size)
    tried = search(relation, ctx.track(settings, "trying settings", "settings"), ctx.scratch / "trees")
    refined = refine(tried[0].labels, relation.same, params.reattach_share, params.merge_share)
    numbers = ranked(refined.labels)
    if numbers.max() == NOISE:
        raise StageError.precondition(
            f"no characters were found among {len(crops)} crops: no {params.min_cluster_size} of them look like one; "
            "does the CCIP model fit the style, or is the recipe's clustering.min_cluster_size too large?"
        )
    indexed = [crop.model_copy(update={"index": int(number)}) for crop, number in zip(crops, numbers, strict=True)]
    return _outputs(ctx, indexed, _summary(params, threshold, relation, tried, refined, numbers))


def _check(params: ClusterParams) -> None:
    """Raises StageError for params that make no sense."""
    if params.min_cluster_size < 2:
        raise StageError.invalid(f"clusterer: min_cluster_size is {params.min_cluster_size}; it must be 2 or more")
    for name in ("reattach_share", "merge_share"):
        if not 0 < getattr(params, name) <= 1:
            raise StageError.invalid(f"clusterer: {name} is {getattr(params, name)}; it must be above 0 and at most 1")


def _crops_with_vectors(ctx: Context, inputs: Inputs) -> tuple[list[Image], np.ndarray]:
    """The crops that have a vector, in their order, and the vectors [n, 768]."""
    path = ctx.scratch / "vectors.safetensors"
    ctx.store.fetch(inputs["vectors"].digest, path)
    with safe_open(path, "numpy") as file:
        rows = {name: row for row, name in enumerate(json.loads(file.metadata()["names"]))}
        features = file.get_tensor("features")
    kept = []
    for crop in ImageSet.load(ctx.store, inputs["crops"]):
        if crop.name in rows:
            kept.append(crop)
        else:
            ctx.reject(crop.name, "it has no vector: the embedder set it aside")
    return kept, features[[rows[crop.name] for crop in kept]]


def _summary(
    params: ClusterParams, threshold: float, relation: Relation, tried: Sequence[Partition], refined: Refined, numbers: np.ndarray
) -> dict[str, object]:
    sizes = np.bincount(numbers[numbers != NOISE])
    return {
        "method": "HDBSCAN on CCIP differences; of the settings tried, the one whose partition agrees best with the model's "
        "pairs; noise reattached, clusters merged",
        "model": params.model,
        "threshold": threshold,
        "crops": len(relation),
        "characters": len(sizes),
        "sizes": sizes.tolist(),
        "noise": int((numbers == NOISE).sum()),
        "reattached": refined.reattached,
        "merged": refined.merged,
        "pairs_held_apart": int(relation.apart.sum()) // 2,
        "chosen": tried[0].described,
        "tried": [each.described for each in tried],
    }


def _outputs(ctx: Context, crops: Sequence[Image], summary: dict[str, object]) -> Outputs:
    """`crops` carry their index."""
    ordered = sorted(crops, key=lambda crop: np.inf if crop.index == NOISE else crop.index or 0)
    groups: dict[int, list[Image]] = {}
    for crop in ordered:
        groups.setdefault(crop.index if crop.index is not None else NOISE, []).append(crop)
    outputs = {
        "clusters": ImageSet(images=tuple(ordered)).save(ctx.store),
        "summary": put_json(ctx.store, "summary", summary),
        "sheet": _sheet(ctx, [group for index, group in groups.items() if index != NOISE]),
    }
    for index, group in groups.items():
        name = "noise" if index == NOISE else f"character_{index:03}"
        outputs[name] = ImageSet(images=tuple(group), meta={"index": index}).save(ctx.store)
    return outputs


def _sheet(ctx: Context, characters: Sequence[Sequence[Image]]) -> ArtifactRef:
    """A row of crops for each of the first characters, from all over the video."""
    pictures: list[PIL.Image.Image] = []
    captions: list[str] = []
    blank = PIL.Image.new("RGB", (1, 1), "white")
    for index, crops in enumerate(characters[:_SHOWN_ROWS]):
        count = min(len(crops), _SHOWN_COLUMNS)
        shown = [crops[place * len(crops) // count] for place in range(count)]
        row = [read_picture(data) for data in ctx.store.get_all([crop.digest for crop in shown])]
        pictures += row + [blank] * (_SHOWN_COLUMNS - count)
        captions += [f"{index}: {len(crops)} crops", *[""] * (_SHOWN_COLUMNS - 1)]
    sheet = contact_sheet(pictures, captions, columns=_SHOWN_COLUMNS, cell=_CELL)
    return ref("sheet", ctx.store.put(sheet), "image/png")


OPERATIONS = (Operation(name="clusterer", version=1, params=ClusterParams, run=run, models=digests_of),)
