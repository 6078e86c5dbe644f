"""The stage `clusterer.recognise`: whom an index shows, by pictures of characters that are known already.

An index is as like a reference as the share of their pairs that the model calls the same character. It can be the one that it
is most like when that is most of the pairs, clearly more than with anybody else. Look-alikes pass that as well; but of two
indexes that stand side by side in a frame one is somebody else, and the character is the one that is clearly nearer.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from kyara.clusterer.v1.clusterer_pb2 import RecogniseParams
from kyara_artifacts import Image, ImageSet, put_json
from kyara_clusterer.metric import Metric, unit_vectors
from kyara_clusterer.refine import CLASHES, members_of, shown
from kyara_clusterer.settings import ClustererSettings
from kyara_clusterer.tracks import held_apart
from kyara_clusterer.vectors import read_vectors
from kyara_inference import Inference, catalogue
from kyara_inference.staging import stage_errors
from kyara_stage import Inputs, Outputs, StageContext, StageError

MOST_PAIRS = 0.5
"""Share of 'same' pairs from which an index can be somebody."""
CLEARLY_MORE = 0.25
"""Lead over the next reference from which it can be them."""
CLEARLY_NEARER = 0.75
"""Of two indexes that could be one character, what the mean difference of the nearer must be of the other's."""


@dataclass(frozen=True)
class Likeness:
    """The reference that an index is most like."""

    index: int
    name: str
    score: float
    """0..1: share of 'same' among the pairs of their pictures."""
    difference: float
    """Their mean difference."""
    next_name: str | None
    """The reference that comes second, if there is one."""
    next_score: float | None
    certain: bool
    """Whether the index is this character; otherwise a person must look."""


async def run(ctx: StageContext[ClustererSettings], params: RecogniseParams, inputs: Inputs) -> Outputs:
    """Compare each index of `clusters` with each reference."""
    given = [inputs[f"reference_{number:03}"] for number in range(len(params.names))]
    if not given or len(set(params.names)) != len(given):
        raise StageError.invalid(
            f"clusterer.recognise: give at least one reference and each a name of its own: {list(params.names)}"
        )
    references = {name: read_vectors(ctx, each).features for name, each in zip(params.names, given, strict=True)}
    vectors = read_vectors(ctx, inputs["vectors"])
    crops = [crop for crop in ImageSet.load(ctx.store, inputs["clusters"]) if crop.name in vectors.row]
    features = vectors.features[[vectors.row[crop.name] for crop in crops]]
    with stage_errors(), Inference(ctx.settings.inference) as inference:
        metric = Metric.of(inference, params.model, catalogue().ccip(params.model).threshold, features)
    found = likenesses(crops, features, references, metric)
    return {"likenesses": put_json(ctx.store, "likenesses", [asdict(each) for each in found])}


def likenesses(
    crops: Sequence[Image], features: np.ndarray, references: Mapping[str, np.ndarray], metric: Metric
) -> list[Likeness]:
    """The likest reference of each index of `crops`, which carry theirs. `features` [n, d]; references [m, d] each."""
    numbers = np.array([crop.index for crop in crops])
    faces = {name: unit_vectors(shown(each)) for name, each in references.items()}
    likest: list[Likeness] = []
    for index, members in sorted(members_of(numbers).items()):
        unit = unit_vectors(features[shown(members)])
        apart = {name: metric(unit @ face.T) for name, face in faces.items()}
        likest.append(_likest(index, apart, metric.threshold))
    return _without_look_alikes(likest, _seen_together(crops, numbers))


def _likest(index: int, apart: Mapping[str, np.ndarray], threshold: float) -> Likeness:
    """`apart` holds the differences of the index's pictures to each reference's."""
    scores = {name: float((each <= threshold).mean()) for name, each in apart.items()}
    name, *others = sorted(scores, key=lambda each: (-scores[each], each))
    next_name = others[0] if others else None
    lead = scores[name] - (scores[next_name] if next_name else 0.0)
    return Likeness(
        index=index,
        name=name,
        score=round(scores[name], 4),
        difference=round(float(apart[name].mean()), 4),
        next_name=next_name,
        next_score=round(scores[next_name], 4) if next_name else None,
        certain=scores[name] >= MOST_PAIRS and lead >= CLEARLY_MORE,
    )


def _without_look_alikes(found: Sequence[Likeness], together: set[tuple[int, int]]) -> list[Likeness]:
    """Who could be somebody is certain only when nobody else could be them."""
    return [replace(one, certain=one.certain and _is_they(one, found, together)) for one in found]


def _is_they(one: Likeness, found: Sequence[Likeness], together: set[tuple[int, int]]) -> bool:
    others = [each for each in found if each.certain and each.name == one.name and each.index != one.index]
    beside = [each for each in others if (min(one.index, each.index), max(one.index, each.index)) in together]
    nearer_than_those_beside = all(one.difference <= CLEARLY_NEARER * each.difference for each in beside)
    about_as_near_as_any = all(each.difference >= CLEARLY_NEARER * one.difference for each in others)
    return nearer_than_those_beside and about_as_near_as_any


def _seen_together(crops: Sequence[Image], numbers: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of indexes, the lower first, that several frames show both of: one may be a wrong box."""
    pairs = np.sort(numbers[held_apart(crops)], axis=1)
    return {(a, b) for (a, b), count in Counter(map(tuple, pairs.tolist())).items() if count >= CLASHES and a != b}
