"""The store in a directory: temporary file, fsync, rename."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts.ages import Kept, is_fresh
from kyara_artifacts.digests import CHUNK, digest_of, digest_of_file
from kyara_artifacts.store import (
    BlobCorrupt,
    BlobMissing,
    ParallelTransfers,
    check_key,
    check_sha256,
    full_disk_said,
    verified,
)


class DirectoryStore(ParallelTransfers):
    """Blobs in `blobs/ab/abcd...`, records in `records/`, both under one folder on one file system."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._records = root / "records"
        self._temporary = root / "tmp"
        for folder in (self._blobs, self._records, self._temporary):
            folder.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes | Path) -> Digest:
        digest = digest_of_file(data) if isinstance(data, Path) else digest_of(data)
        found = self._stat(digest)
        if not found or found.size != digest.size_bytes or not is_fresh(found.written):
            with full_disk_said(self._blobs), self._new_file(self._blob(digest)) as file:
                if isinstance(data, Path):
                    with data.open("rb") as source:
                        _copy_checked(source, file, digest)
                else:
                    file.write(data)
        return digest

    def get(self, digest: Digest) -> bytes:
        try:
            return verified(self._blob(digest).read_bytes(), digest)
        except FileNotFoundError:
            raise BlobMissing(digest.sha256) from None

    def fetch(self, digest: Digest, path: Path) -> None:
        blob = self._blob(digest)
        if not blob.exists():
            raise BlobMissing(digest.sha256)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with full_disk_said(path.parent), blob.open("rb") as source, part.open("wb") as file:
                _copy_checked(source, file, digest)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def has(self, digest: Digest) -> bool:
        found = self._stat(digest)
        return found is not None and found.size == digest.size_bytes

    def put_record(self, key: str, value: bytes) -> None:
        with full_disk_said(self._records), self._new_file(self._records / check_key(key)) as file:
            file.write(value)

    def get_record(self, key: str) -> bytes | None:
        try:
            return (self._records / check_key(key)).read_bytes()
        except FileNotFoundError:
            return None

    def list_records(self, prefix: str | None = None) -> Iterator[Kept]:
        folder = self._records / check_key(prefix) if prefix is not None else self._records
        yield from sorted(_files_in(folder, self._records), key=lambda each: each.name)

    def remove_record(self, key: str) -> None:
        (self._records / check_key(key)).unlink(missing_ok=True)

    def list_blobs(self) -> Iterator[Kept]:
        for folder in self._blobs.iterdir():
            yield from _files_in(folder, folder)

    def remove_blobs(self, sha256s: Sequence[str]) -> None:
        for sha256 in sha256s:
            self._blob(Digest(sha256=sha256)).unlink(missing_ok=True)

    def _stat(self, digest: Digest) -> Kept | None:
        try:
            found = self._blob(digest).stat()
        except FileNotFoundError:
            return None
        return Kept(digest.sha256, found.st_size, _written(found))

    def _blob(self, digest: Digest) -> Path:
        sha256 = check_sha256(digest.sha256)
        return self._blobs / sha256[:2] / sha256

    @contextmanager
    def _new_file(self, path: Path) -> Iterator[IO[bytes]]:
        """A file that appears at `path`, on disk and whole, when the block ends well."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._temporary, delete=False) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        _sync_folder(path.parent)


def _files_in(folder: Path, root: Path) -> Iterator[Kept]:
    """The files below `folder`, named from `root`."""
    for path in folder.rglob("*"):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue  # removed since it was listed
        if stat.S_ISREG(found.st_mode):
            yield Kept(path.relative_to(root).as_posix(), found.st_size, _written(found))


def _written(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(found.st_mtime, UTC)


def _copy_checked(source: IO[bytes], target: IO[bytes], digest: Digest) -> None:
    """Copy `source`, whose bytes must have `digest`. Raises BlobCorrupt."""
    sha = hashlib.sha256()
    while piece := source.read(CHUNK):
        sha.update(piece)
        target.write(piece)
    if sha.hexdigest() != digest.sha256:
        raise BlobCorrupt(digest.sha256)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
