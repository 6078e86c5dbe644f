"""Files under names of their own, on disk or in a bucket, for programs that know nothing of the store.

Such a folder is filled again and again with mostly the same files: what is there and the same is left alone.
"""

import filecmp
import io
import os
import shutil
from pathlib import Path
from typing import Protocol

from minio import Minio

from kyara_artifacts.digests import digest_of, digest_of_file
from kyara_artifacts.s3 import PART, NoObject, bucket_at, refusals_said
from kyara_artifacts.store import PARALLEL, full_disk_said

_SHA256 = "sha256"
"""Metadata of an object in a bucket; an ETag tells a large file's parts and not its bytes."""


class Folder(Protocol):
    """What a directory and a bucket's prefix both give."""

    def write(self, name: str, data: bytes | Path) -> bool:
        """Have `data` under `name`, which may hold slashes; False when it was there. A file appears whole or not at all.

        Raises StoreError.
        """
        ...


def open_folder(where: str) -> Folder:
    """The folder at a path, or at `s3://bucket/prefix[?endpoint=http://host:port]` with the environment's keys.

    Makes the bucket if it is missing. Raises ValueError without keys or for another scheme, StoreError when the server refuses.
    """
    scheme, found, _ = where.partition("://")
    if not found:
        return DirectoryFolder(Path(where))
    if scheme != "s3":
        raise ValueError(f"{where!r}: give a folder, or s3://bucket/prefix?endpoint=http://host:port")
    return BucketFolder(*bucket_at(where))


class DirectoryFolder:
    """A folder on disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, name: str, data: bytes | Path) -> bool:
        path = self._root / name
        if path.is_file() and _same(path, data):
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with full_disk_said(path.parent):
                if isinstance(data, Path):
                    shutil.copyfile(data, part)
                else:
                    part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return True


class BucketFolder:
    """Objects below a prefix; each has its digest beside it."""

    def __init__(self, client: Minio, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def write(self, name: str, data: bytes | Path) -> bool:
        key = self._prefix + name
        sha256 = (digest_of_file(data) if isinstance(data, Path) else digest_of(data)).sha256
        if self._sha256(key) == sha256:
            return False
        kept: dict[str, str | list[str] | tuple[str]] = {_SHA256: sha256}
        with refusals_said(key):
            if isinstance(data, Path):
                self._client.fput_object(
                    self._bucket, key, str(data), metadata=kept, part_size=PART, num_parallel_uploads=PARALLEL
                )
            else:
                self._client.put_object(self._bucket, key, io.BytesIO(data), len(data), metadata=kept)
        return True

    def _sha256(self, key: str) -> str | None:
        try:
            with refusals_said(key):
                metadata = self._client.stat_object(self._bucket, key).metadata or {}
        except NoObject:
            return None
        return metadata.get(f"x-amz-meta-{_SHA256}")


def _same(path: Path, data: bytes | Path) -> bool:
    return filecmp.cmp(path, data, shallow=False) if isinstance(data, Path) else path.read_bytes() == data
