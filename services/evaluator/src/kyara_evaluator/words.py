"""A save's own words: embeddings that were trained beside its LoRA, in the trigger's place in prompts.

The base model's vocabulary is left as it is: ids past its end are looked up in the save's own matrix while it is drawn with.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

TENSOR = "emb_params"
"""Its name in an embedding file of Stable Diffusion 1.5."""


class UnfitWordsError(ValueError):
    """The file holds no words for this base model; the message says what it holds."""


class _WithWords(nn.Module):
    """A text encoder's token embedding with more rows after the base's own."""

    def __init__(self, base: nn.Embedding, words: torch.Tensor, first: int) -> None:
        super().__init__()
        self.base = base
        self._words = words
        self._first = first

    @property
    def weight(self) -> torch.Tensor:
        """The base's table, whose type and place the text encoder asks for."""
        return self.base.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """[b, tokens] to [b, tokens, width]."""
        own = ids >= self._first
        known = self.base(ids.masked_fill(own, 0))
        return torch.where(own.unsqueeze(-1), self._words[(ids - self._first).clamp(min=0)].to(known.dtype), known)


def read_words(path: Path) -> torch.Tensor:
    """[words, width] of an embedding file. Raises UnfitWordsError for another file."""
    tensors = load_file(path)
    if set(tensors) != {TENSOR} or tensors[TENSOR].ndim != 2:
        raise UnfitWordsError(f"the embedding file holds {', '.join(sorted(tensors)) or 'nothing'}, not one matrix {TENSOR}")
    return tensors[TENSOR]


@contextmanager
def own_words(pipeline: Any, words: torch.Tensor | None) -> Iterator[list[str]]:
    """The words as prompts write them, known to the pipeline's text model inside; none without `words`.

    Raises UnfitWordsError.
    """
    if words is None:
        yield []
        return
    tokenizer, encoder = pipeline.tokenizer, pipeline.text_encoder
    table = encoder.get_input_embeddings()
    if words.shape[1] != table.embedding_dim:
        raise UnfitWordsError(f"embeddings of width {words.shape[1]} do not fit the base model's {table.embedding_dim}")
    names = [f"<kyara-{number}>" for number in range(len(words))]
    tokenizer.add_tokens(names)
    first = tokenizer.convert_tokens_to_ids(names[0])
    encoder.set_input_embeddings(_WithWords(table, words.to(encoder.device), first))
    try:
        yield names
    finally:
        encoder.set_input_embeddings(table)


def in_place_of(trigger: str, names: list[str], text: str) -> str:
    """A prompt with the save's own words where the trigger was."""
    return re.sub(rf"(?<!\w){re.escape(trigger)}(?!\w)", " ".join(names), text) if names and trigger else text
