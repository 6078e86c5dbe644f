"""Captions to what conditions the UNet: encoded at every step while text is learnt, and else once.

Texts are encoded in the same company whenever a run begins, so that a resumed one has the same bits.
"""

from collections.abc import Sequence
from contextlib import nullcontext

import torch

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import Store, canonical_json, digest_of
from kyara_trainer.cache import Cache
from kyara_trainer.captions import Caption, are_fixed
from kyara_trainer.model import BaseModel, Conditioning, digest_of_weights, release

ENCODE_BATCH = 16


class Texts:
    """Conditionings of captions. `encode` is all there is to it."""

    def __init__(self, base: BaseModel, params: TrainParams) -> None:
        self._base = base
        self._clip_skip = params.clip_skip
        self._learns = bool(params.text_encoder.rank or params.pivotal.words)
        self._may_keep = not self._learns and are_fixed(params)
        self._kept: dict[str, Conditioning] = {}

    def keep(self, captions: Sequence[Caption], store: Store) -> None:
        """Encode all captions that steps can ask for, or take them from an earlier run, when nothing changes them."""
        if not self._may_keep:
            return
        encoders = [encoder.model for encoder in self._base.text_encoders.values()]
        texts = sorted({"", *(caption.whole() for caption in captions)})
        words = digest_of(canonical_json(texts)).sha256
        cache = Cache(store, "texts", self._base.device, words, digest_of_weights(encoders), self._clip_skip)
        for first in range(0, len(texts), ENCODE_BATCH):
            chunk = texts[first : first + ENCODE_BATCH]
            encoded = cache.tensors(first, lambda chunk=chunk: _as_tensors(self._encode(chunk)))
            for place, text in enumerate(chunk):
                self._kept[text] = _of_tensors({name: value[place] for name, value in encoded.items()})
        cache.close()
        for encoder in encoders:
            release(encoder)

    def encode(self, captions: Sequence[str]) -> Conditioning:
        """[b, ...] for the captions of a pass."""
        if not self._kept:
            return self._encode(captions)
        kept = [_as_tensors(self._kept[caption]) for caption in captions]
        together = {name: torch.stack([each[name] for each in kept]).to(self._base.device) for name in kept[0]}
        return _of_tensors(together)

    def _encode(self, captions: Sequence[str]) -> Conditioning:
        with nullcontext() if self._learns else torch.no_grad():
            return self._base.encode_text(captions, self._clip_skip)


def _as_tensors(told: Conditioning) -> dict[str, torch.Tensor]:
    return {"hidden": told.hidden} | ({} if told.pooled is None else {"pooled": told.pooled})


def _of_tensors(tensors: dict[str, torch.Tensor]) -> Conditioning:
    return Conditioning(tensors["hidden"], tensors.get("pooled"))
