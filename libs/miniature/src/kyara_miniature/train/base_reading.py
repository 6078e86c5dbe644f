"""Teaching the text model to read, before it guides the denoiser.

Learning words through a denoiser's gradient takes far more pictures than this world's budget has, so the text model
first learns from captions alone to say, at every token, which tags it has read so far and which was the last one.
Then it stays as it is, as in Stable Diffusion.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from kyara_miniature.tags import TAGS
from kyara_miniature.train.base_data import caption_words
from kyara_miniature.train.base_loop import Course, Finished, run
from kyara_miniature.train.base_text import LENGTH, WIDTH, make_text_model

BATCH = 32
RATE = 2e-3


@dataclass(frozen=True)
class Read:
    """Captions as tokens [n, 77], and per token which tags were complete by then [n, 77, tags] and the last one's
    number [n, 77] (-1: none yet)."""

    tokens: Tensor
    so_far: Tensor
    last: Tensor


class Reader(nn.Module):
    """The text model and two linear readings of its states."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.text = make_text_model(tokenizer)
        self.so_far = nn.Linear(WIDTH, len(TAGS))
        self.last = nn.Linear(WIDTH, len(TAGS))


def train_text(tokenizer: CLIPTokenizer, rows: np.ndarray, steps: int, work: Path) -> tuple[CLIPTextModel, Finished]:
    """Train on captions of pictures with the tags `rows` [n, len(TAGS)]; the averaged text model comes back."""
    network = Reader(tokenizer)
    averaged = copy.deepcopy(network).eval().requires_grad_(False)

    def loss_of(step: int) -> Tensor:
        rng = np.random.default_rng([7761, step])
        captions = [caption_words(rows[i], rng) for i in rng.integers(len(rows), size=BATCH)]
        read = spell(tokenizer, captions)
        states = network.text(read.tokens).last_hidden_state
        so_far = F.binary_cross_entropy_with_logits(network.so_far(states), read.so_far)
        last = F.cross_entropy(network.last(states).flatten(0, 1), read.last.flatten(), ignore_index=-1)
        return 10 * so_far + last

    finished = run(Course("text", steps, RATE, average=0.995), network, averaged, loss_of, work, lambda _: None)
    return averaged.text, finished


def spell(tokenizer: CLIPTokenizer, captions: list[list[str]]) -> Read:
    """Tokens of captions given as lists of words ("long hair", "long_hair" or no tag at all), and what they say."""
    tokens = np.full((len(captions), LENGTH), tokenizer.pad_token_id, dtype=np.int64)
    so_far = np.zeros((len(captions), LENGTH, len(TAGS)), dtype=np.float32)
    last = np.full((len(captions), LENGTH), -1, dtype=np.int64)
    for row, words in enumerate(captions):
        tokens[row, 0] = cast(int, tokenizer.bos_token_id)
        place = 1
        for number, word in enumerate(words):
            spelt = tokenizer(f", {word}" if number else word).input_ids[1:-1]
            spelt = spelt[: LENGTH - 1 - place]
            tokens[row, place : place + len(spelt)] = spelt
            place += len(spelt)
            tag = word.replace(" ", "_")
            if tag in TAGS:
                so_far[row, place - 1 :, TAGS.index(tag)] = 1
                last[row, place - 1 :] = TAGS.index(tag)
    return Read(torch.from_numpy(tokens), torch.from_numpy(so_far), torch.from_numpy(last))
