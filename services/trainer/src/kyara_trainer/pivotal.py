"""Pivotal words: words of the trigger's own, whose embeddings are trained beside the LoRA (Roich et al. 2021, for texts).

In captions they stand in the trigger's place. The base model's vocabulary is left as it is: ids past its end are looked up
in a matrix of their own, one for each text encoder.
"""

from collections.abc import Mapping

import torch
from torch import nn

from kyara.trainer.v1.trainer_pb2 import PivotalParams
from kyara_trainer.lora_file import safetensors_bytes
from kyara_trainer.model import BaseModel


class PivotalEmbedding(nn.Module):
    """A text encoder's token embedding with trained rows after the base's own."""

    def __init__(self, base: nn.Embedding, words: nn.Parameter, first: int) -> None:
        super().__init__()
        self.base = base
        self.words = words
        self._first = first

    @property
    def weight(self) -> torch.Tensor:
        """The base's table, whose type and place the text encoder asks for."""
        return self.base.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """[b, tokens] to [b, tokens, width]."""
        own = ids >= self._first
        known = self.base(ids.masked_fill(own, 0))
        return torch.where(own.unsqueeze(-1), self.words[(ids - self._first).clamp(min=0)].to(known.dtype), known)


def attach_words(base: BaseModel, params: PivotalParams, seed: int) -> tuple[str, dict[str, nn.Parameter]]:
    """Add the words; (what stands for the trigger in captions, the embeddings by their names in an embedding file).

    They begin at N(0, init_std), drawn from `seed`.
    """
    names = [f"<kyara-{number}>" for number in range(params.words)]
    dice = torch.Generator().manual_seed(seed)
    found: dict[str, nn.Parameter] = {}
    for name, encoder in zip(base.embedding_names, base.text_encoders.values(), strict=True):
        first = len(encoder.tokenizer)
        encoder.tokenizer.add_tokens(names)
        table = encoder.model.get_input_embeddings()
        start = params.init_std * torch.randn((params.words, table.embedding_dim), generator=dice)
        found[name] = nn.Parameter(start.to(base.device))
        encoder.model.set_input_embeddings(PivotalEmbedding(table, found[name], first))
    return " ".join(names), found


def embedding_file(words: Mapping[str, torch.Tensor]) -> bytes:
    """The embeddings as A1111, ComfyUI, sd-scripts and diffusers read them: one tensor [words, width] for each text encoder."""
    return safetensors_bytes({name: weight.detach().float() for name, weight in words.items()}, {})
