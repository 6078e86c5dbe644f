"""What the evaluator sees of pictures: whom they show, how they are laid out, what a tagger says of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kyara_artifacts import Image, side_by_side
from kyara_evaluator.copies import SIDE, layout_of
from kyara_evaluator.likeness import Words
from kyara_evaluator.scoring import shows_nothing
from kyara_evaluator.settings import EvaluatorSettings
from kyara_inference import Inference, embed, tag
from kyara_inference.staging import pictures_of
from kyara_stage import StageContext

SEEN_AT_ALL = 0.01
"""Confidence under which a tagger's word is not kept: a tag that nobody asks for is most often this small."""


@dataclass(frozen=True)
class Looks:
    """[n] pictures that can be read, in order."""

    images: list[Image]
    vectors: np.ndarray
    """[n, 768], by CCIP."""
    layouts: np.ndarray
    """[n, SIDE²]"""
    tags: list[dict[str, float]]
    """Empty without a tagger."""
    empty: list[bool]
    """Whether each shows nothing."""
    texts: list[float | None]
    """Cosine of each and the words of its prompt, -1..1; None without a CLIP."""


def look_at(
    ctx: StageContext[EvaluatorSettings],
    inference: Inference,
    images: Sequence[Image],
    ccip: str,
    tagger: str,
    words: Words,
    phase: str,
) -> Looks:
    """See all of `images` once; one that cannot be read is set aside. `tagger` may be empty, and `words` know no prompt."""
    kept: list[Image] = []
    vectors, layouts = [embed(inference, ccip, [])], [np.empty((0, SIDE * SIDE), np.float32)]
    tags: list[dict[str, float]] = []
    empty: list[bool] = []
    texts: list[float | None] = []
    for chunk in pictures_of(ctx, images, phase):
        pictures = [picture for _, picture in chunk]
        kept += [image for image, _ in chunk]
        vectors.append(embed(inference, ccip, pictures))
        layouts.append(np.stack(list(side_by_side(layout_of, pictures))))
        empty += [shows_nothing(np.asarray(picture)) for picture in pictures]
        if tagger:
            tags += tag(inference, tagger, pictures, SEEN_AT_ALL)
        texts += words.seen_in(pictures, [image.prompt or "" for image, _ in chunk])
    return Looks(kept, np.concatenate(vectors), np.concatenate(layouts), tags, empty, texts)
