"""The base model's reading side: a tokenizer made for this world's tags and a small CLIP text model.

The tokenizer is a plain CLIP tokenizer (byte-level byte pairs, lower case, at most 77 tokens): every word of the tags
is one token, and any other text, such as a trigger word, falls back to letters or bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from kyara_miniature.tags import TAGS

WIDTH = 128
LAYERS = 2
LENGTH = 77
START, END, WORD_END = "<|startoftext|>", "<|endoftext|>", "</w>"


def byte_letters() -> list[str]:
    """The 256 printable letters that stand for bytes in GPT-2's and CLIP's vocabularies, in CLIP's order."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    return [chr(b) for b in plain] + [chr(256 + n) for n in range(256 - len(plain))]


def words() -> list[str]:
    """Every word of the tags, once, in alphabetical order."""
    return sorted({word for tag in TAGS for word in tag.lstrip("0123456789").split("_")})


def learn_merges(vocabulary: list[str]) -> list[tuple[str, str]]:
    """Byte pairs (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909) until each word is one token."""
    split = [[*word[:-1], word[-1] + WORD_END] for word in vocabulary]
    merges: list[tuple[str, str]] = []
    while any(len(parts) > 1 for parts in split):
        pairs = Counter(pair for parts in split for pair in pairwise(parts))
        best = max(sorted(pairs), key=lambda pair: pairs[pair])
        merges.append(best)
        split = [_merged(parts, best) for parts in split]
    return merges


def _merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for part in parts:
        if result and (result[-1], part) == pair:
            result[-1] += part
        else:
            result.append(part)
    return result


def write_tokenizer(folder: Path) -> CLIPTokenizer:
    """Write the tokenizer's files into `folder` and load them the way that a pipeline does."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = byte_letters()
    merges = learn_merges(words())
    tokens = [*letters, *(letter + WORD_END for letter in letters), *dict.fromkeys(a + b for a, b in merges), START, END]
    vocab, rules = folder / "vocab.json", folder / "merges.txt"
    vocab.write_text(json.dumps({token: number for number, token in enumerate(tokens)}, ensure_ascii=False))
    rules.write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    CLIPTokenizer(str(vocab), str(rules), model_max_length=LENGTH).save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


def make_text_model(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained text model [b, 77] tokens -> [b, 77, WIDTH] for `tokenizer`."""
    ends: dict[str, Any] = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=3 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            **ends,
        )
    )
