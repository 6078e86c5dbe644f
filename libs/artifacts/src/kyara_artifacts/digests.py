"""Names of content: SHA-256 digests and the one JSON form that they are taken over."""

import hashlib
import json
from pathlib import Path
from typing import Any

from kyara.stage.v1.stage_pb2 import Digest

CHUNK = 1 << 20


def digest_of(data: bytes) -> Digest:
    """Digest of `data`."""
    return Digest(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def digest_of_file(path: Path) -> Digest:
    """Digest of a file's content, read in pieces."""
    with path.open("rb") as file:
        sha = hashlib.file_digest(file, "sha256")
    return Digest(sha256=sha.hexdigest(), size_bytes=path.stat().st_size)


def canonical_json(value: Any) -> bytes:
    """The one JSON form of `value`: sorted keys, no spaces, UTF-8, no NaN.

    Raises ValueError for NaN and infinities, which JSON cannot hold.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()
