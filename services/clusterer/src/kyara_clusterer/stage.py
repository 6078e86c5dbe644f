"""The stage `clusterer`; what it takes and gives is in its proto. Beside it stands `clusterer.recognise`."""

from collections import Counter
from collections.abc import Sequence
from itertools import count, takewhile

import numpy as np

from kyara.clusterer.v1.clusterer_pb2 import ClusterParams, RecogniseParams
from kyara_artifacts import Image, ImageSet, put_json
from kyara_clusterer import recognise
from kyara_clusterer.metric import Metric
from kyara_clusterer.outfits import outfits_of
from kyara_clusterer.portraits import portraits
from kyara_clusterer.refine import Refined, members_of, refine
from kyara_clusterer.relation import Relation, relate
from kyara_clusterer.search import MIN_SAMPLES, NOISE, Partition, ranked, search
from kyara_clusterer.settings import ClustererSettings
from kyara_clusterer.sheets import of_outfits, overview
from kyara_clusterer.vectors import read_vectors
from kyara_inference import Inference, catalogue, digests_of
from kyara_inference.staging import stage_errors
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError

Context = StageContext[ClustererSettings]


async def run(ctx: Context, params: ClusterParams, inputs: Inputs) -> Outputs:
    """Tell the characters among `crops` apart."""
    _check(params)
    crops, features, clothes = _crops_with_vectors(ctx, inputs)
    if len(crops) < params.min_cluster_size:
        raise StageError.precondition(
            f"no characters can be told apart: there are {len(crops)} crops of persons, and a character needs at least "
            f"{params.min_cluster_size}; is the video too short, or the recipe's cleaning too strict?"
        )
    with stage_errors(), Inference(ctx.settings.inference) as inference:
        metric = Metric.of(inference, params.model, catalogue().ccip(params.model).threshold, features)
    relation = relate(crops, features, metric)
    tried = search(relation, params.min_cluster_size, ctx.track(MIN_SAMPLES, "looking for characters", "trees"))
    refined = refine(tried[0].labels, relation, params.min_cluster_size, params.reattach_share, params.merge_share)
    numbers = ranked(refined.labels)
    if numbers.max() == NOISE:
        raise StageError.precondition(
            f"no characters were found among {len(crops)} crops: no {params.min_cluster_size} of them look like one; "
            "does the CCIP model fit the style, or is the recipe's clustering.min_cluster_size too large?"
        )
    dressed = _dressed(crops, numbers, clothes, relation)
    return _outputs(ctx, dressed, _summary(params, relation, tried, refined, dressed))


def _check(params: ClusterParams) -> None:
    """Raises StageError for params that make no sense."""
    if params.min_cluster_size < 2:
        raise StageError.invalid(f"clusterer: min_cluster_size is {params.min_cluster_size}; it must be 2 or more")
    for name in ("reattach_share", "merge_share"):
        if not 0 < getattr(params, name) <= 1:
            raise StageError.invalid(f"clusterer: {name} is {getattr(params, name)}; it must be above 0 and at most 1")


def _crops_with_vectors(ctx: Context, inputs: Inputs) -> tuple[list[Image], np.ndarray, np.ndarray]:
    """The crops that have a vector, in their order, the vectors [n, 768], and what is worn [n, 405]."""
    vectors = read_vectors(ctx, inputs["vectors"])
    kept = []
    for crop in ImageSet.load(ctx.store, inputs["crops"]):
        if crop.name in vectors.row:
            kept.append(crop)
        else:
            ctx.reject(crop.name, "it has no vector: the embedder set it aside")
    rows = [vectors.row[crop.name] for crop in kept]
    return kept, vectors.features[rows], vectors.clothes[rows]


def _dressed(crops: Sequence[Image], numbers: np.ndarray, clothes: np.ndarray, relation: Relation) -> list[Image]:
    """The crops with their index and, but for noise, their outfit."""
    outfits: dict[int, int] = {}
    for members in members_of(numbers).values():
        worn = outfits_of([crops[place] for place in members], clothes[members], relation.track[members])
        outfits |= dict(zip(members.tolist(), worn.tolist(), strict=True))
    return [
        crop.model_copy(update={"index": int(number), "outfit": outfits.get(place)})
        for place, (crop, number) in enumerate(zip(crops, numbers, strict=True))
    ]


def _summary(
    params: ClusterParams, relation: Relation, tried: Sequence[Partition], refined: Refined, crops: Sequence[Image]
) -> dict[str, object]:
    """`crops` carry their index and outfit."""
    numbers = np.array([crop.index for crop in crops])
    names = [crop.name for crop in crops]
    sizes = np.bincount(numbers[numbers != NOISE])
    worn = Counter((crop.index, crop.outfit) for crop in crops)
    return {
        "indexes": [
            each.described(names) | {"outfits": _outfit_sizes(worn, each.index)} for each in portraits(numbers, relation)
        ],
        "method": "HDBSCAN's hierarchy of CCIP differences; of its clusters, those that agree best with the model's pairs; "
        "noise reattached, clusters merged",
        "model": params.model,
        "threshold": relation.metric.threshold,
        "crops": len(relation),
        "characters": len(sizes),
        "sizes": sizes.tolist(),
        "noise": int((numbers == NOISE).sum()),
        "followed": refined.followed,
        "split": refined.split,
        "parted": refined.parted,
        "reattached": refined.reattached,
        "merged": refined.merged,
        "pairs_held_apart": len(relation.apart),
        "tracks": int(relation.track.max()) + 1,
        "chosen": tried[0].described,
        "tried": [each.described for each in tried],
    }


def _outfit_sizes(worn: Counter[tuple[int | None, int | None]], index: int) -> list[dict[str, int]]:
    """Outfits are numbered from 0 without gaps."""
    return [{"pictures": worn[index, outfit]} for outfit in takewhile(lambda each: (index, each) in worn, count())]


def _outputs(ctx: Context, crops: Sequence[Image], summary: dict[str, object]) -> Outputs:
    """`crops` carry their index."""
    ordered = sorted(crops, key=lambda crop: np.inf if crop.index == NOISE else crop.index or 0)
    groups: dict[int, list[Image]] = {}
    for crop in ordered:
        groups.setdefault(crop.index if crop.index is not None else NOISE, []).append(crop)
    outputs = {
        "clusters": ImageSet(images=tuple(ordered)).save(ctx.store),
        "summary": put_json(ctx.store, "summary", summary),
        "sheet": overview(ctx.store, [group for index, group in groups.items() if index != NOISE]),
    }
    for index, group in groups.items():
        name = "noise" if index == NOISE else f"character_{index:03}"
        outputs[name] = ImageSet(images=tuple(group), meta={"index": index}).save(ctx.store)
        if index != NOISE:
            outputs[f"sheet_{index:03}"] = of_outfits(ctx.store, group)
    return outputs


OPERATIONS = (
    Operation(name="clusterer", version=5, params=ClusterParams, run=run, models=digests_of),
    Operation(name="clusterer.recognise", version=1, params=RecogniseParams, run=recognise.run, models=digests_of),
)
