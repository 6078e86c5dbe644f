"""The stage `clusterer.recognise`: whom an index shows, by pictures of characters that are known already.

An index is as like a reference as the share of their pairs that the model calls the same character. It is recognised when
that is most of the pairs, clearly more than with anybody else, and no other index of that name stands beside it in a frame.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
"""Lead over the next reference from which it is them and not a look-alike."""


@dataclass(frozen=True)
class Likeness:
    """The reference that an index is most like."""

    index: int
    name: str
    score: float
    """0..1: share of 'same' among the pairs of their pictures."""
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
        scores = {name: float((metric(unit @ face.T) <= metric.threshold).mean()) for name, face in faces.items()}
        likest.append(_likest(index, scores))
    return _one_in_a_frame(likest, _seen_together(crops, numbers))


def _likest(index: int, scores: Mapping[str, float]) -> Likeness:
    (name, score), *others = sorted(scores.items(), key=lambda each: (-each[1], each[0]))
    next_name, next_score = others[0] if others else (None, None)
    certain = score >= MOST_PAIRS and score - (next_score or 0.0) >= CLEARLY_MORE
    return Likeness(index, name, round(score, 4), next_name, None if next_score is None else round(next_score, 4), certain)


def _one_in_a_frame(found: Iterable[Likeness], together: set[tuple[int, int]]) -> list[Likeness]:
    """Of indexes that stand side by side only the likest is the character."""
    kept: list[Likeness] = []
    for each in sorted(found, key=lambda one: (-one.score, one.index)):
        beside = any(
            other.certain and other.name == each.name and (min(other.index, each.index), max(other.index, each.index)) in together
            for other in kept
        )
        kept.append(replace(each, certain=each.certain and not beside))
    return sorted(kept, key=lambda one: one.index)


def _seen_together(crops: Sequence[Image], numbers: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of indexes, the lower first, that several frames show both of: one may be a wrong box."""
    pairs = np.sort(numbers[held_apart(crops)], axis=1)
    return {(a, b) for (a, b), count in Counter(map(tuple, pairs.tolist())).items() if count >= CLASHES and a != b}
