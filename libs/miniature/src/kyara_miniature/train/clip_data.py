"""Pictures and captions for the miniature CLIP: what previews look like, and what their prompts say.

A caption is a choice of a picture's tags in any order. Beside each there are some that are wrong in a single word, which is
what obeying a prompt is about: the same character in another outfit, pose or frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from kyara_miniature.tags import (
    ACCESSORY_TAGS,
    EXPRESSION_TAGS,
    EYE_TAGS,
    FRAMING_TAGS,
    HAIR_COLOR_TAGS,
    HAIR_TAGS,
    OUTFIT_TAGS,
    POSE_TAGS,
    TAGS,
)
from kyara_miniature.train.augment import choose_cuts, cut_out, recolour
from kyara_miniature.train.base_text import END, write_tokenizer
from kyara_miniature.train.crops import Crops

SIZE = 224
"""Px of the contract's pictures."""
WRONG = 3
"""Wrong captions beside each."""
WHOLE_ONLY = (0.0, 0.0, 0.0, 1.0)
"""Whole pictures alone: a prompt's frame and background are in no crop."""
PREVIEW_SIDES = (56, 112)
"""Px that a picture is drawn at before it is enlarged, as previews of the miniature base model are."""
PREVIEW_SHARE = 0.8
GROUPS = (
    OUTFIT_TAGS,
    OUTFIT_TAGS,
    POSE_TAGS,
    FRAMING_TAGS,
    HAIR_COLOR_TAGS,
    EYE_TAGS,
    HAIR_TAGS,
    ACCESSORY_TAGS,
    EXPRESSION_TAGS,
)
"""Of which a wrong caption's word is, each as often as it stands here."""
_PLACES = tuple(np.array([TAGS.index(tag) for tag in group]) for group in GROUPS)


@dataclass(frozen=True)
class Captions:
    """`texts` [n], and the tags that each speaks of [n, len(TAGS)] bool."""

    texts: list[str]
    tags: np.ndarray


def draw_pictures(crops: Crops, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
    """The pictures of `rows` as a model draws them, mirrored, moved, in other light: [b, 3, SIZE, SIZE] in 0..1."""
    cut = choose_cuts(rng, crops.boxes[rows], WHOLE_ONLY)
    images = cut_out(crops.pictures[rows], cut, rng, SIZE, keep_aspect=False, turn=0.06)
    small = torch.from_numpy(rng.random(len(rows)) < PREVIEW_SHARE)
    images[small] = as_previews(images[small], int(rng.integers(*PREVIEW_SIDES)))
    return recolour(images, rng, 0.5)


def as_previews(images: Tensor, side: int) -> Tensor:
    """Square pictures [b, 3, s, s] as if they had been drawn with `side` px and enlarged."""
    small = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
    return F.interpolate(small, size=images.shape[-2:], mode="bilinear")


def draw_captions(tags: np.ndarray, rng: np.random.Generator) -> Captions:
    """For pictures with `tags` [b, len(TAGS)]: a caption of each, then WRONG times one of each that is wrong."""
    told = tags & (rng.random(tags.shape) < rng.uniform(0.25, 1.0, size=(len(tags), 1)))
    for row in np.flatnonzero(~told.any(axis=1)):
        told[row, rng.choice(np.flatnonzero(tags[row]))] = True
    pairs = list(zip(told, tags, strict=True)) * WRONG
    rows = np.concatenate([told, np.stack([_with_a_wrong_word(own, shown, rng) for own, shown in pairs])])
    return Captions([_written(row, rng) for row in rows], rows)


def _with_a_wrong_word(told: np.ndarray, tags: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`told` with one word that the picture of `tags` does not show, in place of one of the same kind where there is one."""
    places = _PLACES[int(rng.integers(len(_PLACES)))]
    wrong = told.copy()
    wrong[places] = False
    wrong[rng.choice(places[~tags[places]])] = True
    return wrong


def _written(row: np.ndarray, rng: np.random.Generator) -> str:
    """The tags of `row` as a prompt has them, shuffled; now and then a word that means nothing is among them."""
    words = [TAGS[place] for place in rng.permutation(np.flatnonzero(row))]
    if rng.random() >= 0.2:
        words = [word.replace("_", " ") for word in words]
    if rng.random() < 0.15:
        letters = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), size=int(rng.integers(3, 10))))
        words.insert(int(rng.integers(len(words) + 1)), letters)
    return ", ".join(words)


def fits(pictures: np.ndarray, captions: np.ndarray) -> np.ndarray:
    """Whether pictures with tags [b, t] show all that captions with tags [n, t] say: [b, n] bool."""
    unseen = (~pictures).astype(np.int32) @ captions.astype(np.int32).T
    return np.equal(unseen, 0)


def make_tokenizer(work: Path) -> Tokenizer:
    """The base model's tokenizer as production's file has it: padded to the longest of the texts that come together."""
    write_tokenizer(work / "tokenizer")
    tokenizer = Tokenizer.from_file(str(work / "tokenizer" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(END), pad_token=END)
    return tokenizer


def spelt(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """`input_ids` and `attention_mask` of texts, [n, t] int64 each."""
    encoded = tokenizer.encode_batch(list(texts))
    ids, masks = ([getattr(each, name) for each in encoded] for name in ("ids", "attention_mask"))
    return np.array(ids, np.int64), np.array(masks, np.int64)
