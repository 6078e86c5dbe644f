"""Whether previews show what their prompts say, by CLIP: text-picture similarity, beside the base model's from the same prompts.

Source: CLIPScore (Hessel et al. 2021, https://arxiv.org/abs/2104.08718), the cosine of a picture's and a text's vector. It stays
as it is, for what is much depends on the model; what tells is how far it lies above or below the base model's. Unlike `control`,
which asks a tagger about single words, it sees the whole prompt, what no tagger has a word for too. It chooses nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import PIL.Image

from kyara_evaluator.prompts import DrawnPrompt
from kyara_evaluator.scoring import Preview
from kyara_inference import Inference
from kyara_inference.clip import embed_pictures, embed_texts, similarities


@dataclass(frozen=True)
class Likeness:
    """How like its prompts' words one step's previews are; None where no CLIP was asked, or no prompt says anything."""

    text: float | None = None
    """Mean cosine of a preview and its prompt's words, -1..1."""
    text_above_base: float | None = None
    """`text` less that of the base model's previews."""
    text_by_kind: Mapping[str, float] | None = None
    """`text` for each kind of prompt."""
    text_above_base_by_kind: Mapping[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


class Words:
    """What prompts say, as vectors of a CLIP; nothing where `model` is empty."""

    def __init__(self, inference: Inference, model: str, prompts: Sequence[DrawnPrompt]) -> None:
        self._inference = inference
        self._model = model
        said = [prompt for prompt in prompts if prompt.words] if model else []
        vectors = embed_texts(inference, model, [prompt.words for prompt in said]) if said else []
        self._vectors = {prompt.name: vector for prompt, vector in zip(said, vectors, strict=True)}

    def seen_in(self, pictures: Sequence[PIL.Image.Image], prompts: Sequence[str]) -> list[float | None]:
        """Cosine of each picture with the words of the prompt of that name; None for a prompt without words."""
        if not self._vectors:
            return [None] * len(pictures)
        seen = embed_pictures(self._inference, self._model, pictures)
        words = [self._vectors.get(name) for name in prompts]
        return [
            None if text is None else float(similarities(picture[None], text[None])[0, 0])
            for picture, text in zip(seen, words, strict=True)
        ]


def likenesses(
    previews: Sequence[Preview], prompts: Sequence[DrawnPrompt], texts: Sequence[float | None], base: int = 0
) -> dict[int, Likeness]:
    """By step, from the cosine of each preview; those of step `base` are the base model's."""
    kinds = {prompt.name: prompt.kind for prompt in prompts}
    found: dict[int, dict[str, list[float]]] = {each.step: {} for each in previews}
    for each, text in zip(previews, texts, strict=True):
        if text is not None:
            found[each.step].setdefault(kinds[each.prompt], []).append(text)
    means = {step: _means(by_kind) for step, by_kind in found.items()}
    return {step: _beside(mean, means[base]) for step, mean in means.items()}


def _means(by_kind: Mapping[str, list[float]]) -> Likeness:
    if not by_kind:
        return Likeness()
    whole = float(np.mean([text for texts in by_kind.values() for text in texts]))
    return Likeness(text=whole, text_by_kind={kind: float(np.mean(texts)) for kind, texts in sorted(by_kind.items())})


def _beside(step: Likeness, base: Likeness) -> Likeness:
    if step.text is None or base.text is None or step.text_by_kind is None or base.text_by_kind is None:
        return step
    kinds, usual = step.text_by_kind, base.text_by_kind
    return Likeness(step.text, step.text - base.text, kinds, {kind: kinds[kind] - usual[kind] for kind in kinds if kind in usual})
