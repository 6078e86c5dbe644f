"""Tensors that cost much and depend on little, kept in the store for the next run that needs the same ones.

A cache is a record over blobs, one for each chunk, under the digest of all that its tensors follow from. Like other records it
goes when it is old and garbage is collected; whoever finds a part of it missing makes that part anew.
"""

import json
from collections.abc import Callable

import torch
from google.protobuf import json_format
from safetensors.torch import load

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import BlobCorrupt, BlobMissing, Store, canonical_json, digest_of, ref
from kyara_trainer.lora_file import safetensors_bytes

Tensors = dict[str, torch.Tensor]


class Cache:
    """Chunks of tensors by number. `close` it when all are asked for: that is when they are kept."""

    def __init__(self, store: Store, kind: str, device: torch.device, *follows_from: object) -> None:
        # Another device, library or number of threads may round differently, and a run's bytes are told not to change.
        facts = [kind, device.type, torch.__version__, torch.get_num_threads(), *follows_from]
        self._key = f"trainer-cache/{kind}-{digest_of(canonical_json(facts)).sha256}"
        self._store = store
        self._kind = kind
        record = json.loads(store.get_record(self._key) or b"{}")
        self._chunks = {name: json_format.ParseDict(value, ArtifactRef()) for name, value in record.items()}
        self._new = False

    def tensors(self, chunk: int, make: Callable[[], Tensors]) -> Tensors:
        """Chunk number `chunk`, on the CPU: as kept, or from `make`, and then kept."""
        kept = self._chunks.get(str(chunk))
        if kept is not None:
            try:
                return load(self._store.get(kept.digest))
            except (BlobMissing, BlobCorrupt):
                pass
        made = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in make().items()}
        data = safetensors_bytes(made, {})
        self._chunks[str(chunk)] = ref(f"trainer-{self._kind}", self._store.put(data), "application/x-safetensors")
        self._new = True
        return made

    def close(self) -> None:
        """Write down which chunks there are."""
        if self._new:
            record = {name: json_format.MessageToDict(chunk) for name, chunk in self._chunks.items()}
            self._store.put_record(self._key, canonical_json(record))
