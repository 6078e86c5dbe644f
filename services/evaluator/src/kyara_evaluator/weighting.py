"""Prompt weights: `(words:1.15)` in a prompt makes the model heed those words more.

The syntax is AUTOMATIC1111's. The method is ComfyUI's (`comfy/sd1_clip.py`, ClipTokenWeightEncoder): a token's hidden
state is moved along the line from the empty prompt's state through its own, by its weight. Unlike scaling the
states themselves it needs no renormalising, and a weight of 1 changes nothing.
"""

import re
from collections.abc import Sequence
from typing import Any

import torch

_WEIGHTED = re.compile(r"\(([^():]+):(\d+(?:\.\d+)?)\)")


def segments(text: str) -> list[tuple[str, float]]:
    """The prompt in pieces of one weight each, in order."""
    found: list[tuple[str, float]] = []
    place = 0
    for match in _WEIGHTED.finditer(text):
        found += [(text[place : match.start()], 1.0), (match[1], float(match[2]))]
        place = match.end()
    return [(words, weight) for words, weight in [*found, (text[place:], 1.0)] if words.strip()]


def encode_prompts(tokenizer: Any, text_encoder: Any, texts: Sequence[str], clip_skip: int) -> torch.Tensor:
    """[b, tokens, width] hidden states of weighted prompts, each cut at the tokenizer's length.

    `clip_skip` counts as the community does: 1 (or 0) is the last layer, 2 the last but one, with the final layer norm.
    """
    encoded = [_tokens(tokenizer, text) for text in texts]
    empty_ids, _ = _tokens(tokenizer, "")
    ids = torch.tensor([empty_ids, *(ids for ids, _ in encoded)], device=text_encoder.device)
    weights = torch.tensor([weights for _, weights in encoded], device=text_encoder.device)[:, :, None]
    output = text_encoder(ids, output_hidden_states=True)
    layer = None if clip_skip <= 1 else output.hidden_states[-clip_skip]
    states = output.last_hidden_state if layer is None else text_encoder.final_layer_norm(layer)
    empty, states = states[:1], states[1:]
    return torch.where(weights == 1.0, states, empty + (states - empty) * weights)


def _tokens(tokenizer: Any, text: str) -> tuple[list[int], list[float]]:
    ids: list[int] = []
    weights: list[float] = []
    for words, weight in segments(text):
        piece = tokenizer(words, add_special_tokens=False).input_ids
        ids += piece
        weights += [weight] * len(piece)
    inner = tokenizer.model_max_length - 2
    ids, weights = [tokenizer.bos_token_id, *ids[:inner], tokenizer.eos_token_id], [1.0, *weights[:inner], 1.0]
    missing = tokenizer.model_max_length - len(ids)
    return ids + [tokenizer.pad_token_id] * missing, weights + [1.0] * missing
