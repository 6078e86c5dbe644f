"""The store: blobs by digest, and small records by key.

A blob is written whole or not at all, and every read is checked against the digest, so that a reader never
sees half of one, whatever died while writing. Records are small mutable JSON documents under readable keys
(`actions/<sha256>`, `jobs/<id>`); writing one replaces it in one step.
"""

import errno
import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts.ages import Kept
from kyara_artifacts.parallel import side_by_side

PARALLEL = 8
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class StoreError(Exception):
    """The store could not do what was asked."""


class BlobMissing(StoreError):
    """No blob has this digest."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"blob {sha256} is not in the store; was it collected as garbage, or is the store the right one?")
        self.sha256 = sha256


class BlobCorrupt(StoreError):
    """A blob's bytes do not match its name."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"blob {sha256} is damaged: its bytes have another digest; delete it and run the job again")
        self.sha256 = sha256


class StoreFull(StoreError):
    """No room is left for what should be written."""


class Store(Protocol):
    """What a directory and S3 both give. Methods may be called from several threads."""

    def put(self, data: bytes | Path) -> Digest:
        """Keep a blob; nothing is written when it is there already, and fresh. Raises StoreFull."""
        ...

    def get(self, digest: Digest) -> bytes:
        """A blob's bytes. Raises BlobMissing, BlobCorrupt."""
        ...

    def fetch(self, digest: Digest, path: Path) -> None:
        """Copy a blob to `path`, which appears whole or not at all. Raises BlobMissing, BlobCorrupt."""
        ...

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there in its full size."""
        ...

    def put_record(self, key: str, value: bytes) -> None:
        """Write a record, replacing it in one step."""
        ...

    def get_record(self, key: str) -> bytes | None:
        """A record, or None."""
        ...

    def list_records(self, prefix: str | None = None) -> Iterator[Kept]:
        """The records under `prefix` (a folder, such as `jobs`), or all, sorted by key."""
        ...

    def remove_record(self, key: str) -> None:
        """Remove a record; one that is not there is none to remove."""
        ...

    def list_blobs(self) -> Iterator[Kept]:
        """All blobs, in no order. What is put or removed meanwhile may be missing."""
        ...

    def remove_blobs(self, sha256s: Sequence[str]) -> None:
        """Remove blobs; one that is not there is none to remove."""
        ...

    def put_all(self, items: Sequence[bytes | Path]) -> list[Digest]:
        """`put` for many, in parallel; digests in the order of `items`."""
        ...

    def get_all(self, digests: Sequence[Digest]) -> Iterator[bytes]:
        """`get` for many, in order, a few read ahead in parallel."""
        ...


class ParallelTransfers:
    """`put_all` and `get_all` over a store's `put` and `get`."""

    def put(self, data: bytes | Path) -> Digest:
        raise NotImplementedError

    def get(self, digest: Digest) -> bytes:
        raise NotImplementedError

    def put_all(self, items: Sequence[bytes | Path]) -> list[Digest]:
        return list(side_by_side(self.put, items, PARALLEL))

    def get_all(self, digests: Sequence[Digest]) -> Iterator[bytes]:
        return side_by_side(self.get, digests, PARALLEL)


def check_key(key: str) -> str:
    """`key`, when it is a plain relative path. Raises ValueError otherwise."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"record key {key!r}: only letters, digits, '.', '_', '-' and '/' between names")
    return key


def check_sha256(sha256: str) -> str:
    """`sha256`, when it is one. Raises ValueError otherwise: a digest may come from outside."""
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r} is no SHA-256 in lower-case hexadecimal")
    return sha256


def verified(data: bytes, digest: Digest) -> bytes:
    """`data`, when it is what `digest` names. Raises BlobCorrupt."""
    if hashlib.sha256(data).hexdigest() != digest.sha256:
        raise BlobCorrupt(digest.sha256)
    return data


@contextmanager
def full_disk_said(folder: Path) -> Iterator[None]:
    """Raises StoreFull when the disk under `folder`, to which the block writes, gets full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(folder).free // 2**20
        raise StoreFull(f"no room is left in {folder}: {free} MiB are free; free some, then retry the job") from error


def open_store(url: str) -> Store:
    """The store at `url`: `file:///folder` or `s3://bucket/prefix?endpoint=http://host:port`.

    S3 keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Raises ValueError for another form.
    """
    from kyara_artifacts.directory import DirectoryStore
    from kyara_artifacts.s3 import S3Store

    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path and not parts.netloc:
        return DirectoryStore(Path(parts.path))
    if parts.scheme == "s3" and parts.netloc:
        return S3Store.from_url(url)
    raise ValueError(f"store {url!r}: use file:///folder or s3://bucket/prefix?endpoint=http://host:port")
