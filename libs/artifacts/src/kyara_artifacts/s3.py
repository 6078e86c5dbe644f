"""The store in an S3 bucket, through `minio`."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts.ages import Kept, is_fresh
from kyara_artifacts.digests import CHUNK, digest_of, digest_of_file
from kyara_artifacts.store import (
    PARALLEL,
    BlobCorrupt,
    BlobMissing,
    ParallelTransfers,
    StoreError,
    StoreFull,
    check_key,
    check_sha256,
    full_disk_said,
    verified,
)

AMAZON = "https://s3.amazonaws.com"
REGION = "us-east-1"
_MISSING = {"NoSuchKey", "NoSuchObject"}
_OURS_ALREADY = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}
_FULL = {"XMinioStorageFull", "QuotaExceeded", "InsufficientCapacity"}
PART = 16 << 20


def s3_client(endpoint: str, region: str) -> Minio:
    """A client of the S3 server at `endpoint` (http://host:port or https://...), with the environment's keys.

    Raises ValueError without keys.
    """
    access, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not access or not secret:
        raise ValueError(f"the S3 server {endpoint} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
    parts = urlsplit(endpoint)
    return Minio(
        parts.netloc,
        access_key=access,
        secret_key=secret,
        secure=parts.scheme == "https",
        region=region,
        http_client=urllib3.PoolManager(
            maxsize=4 * PARALLEL, timeout=urllib3.Timeout(connect=5, read=60), retries=urllib3.Retry(3, backoff_factor=0.2)
        ),
    )


def bucket_at(url: str) -> tuple[Minio, str, str]:
    """Client, bucket and prefix of `s3://bucket/prefix?endpoint=http://host:port[&region=...]`. Makes a missing bucket.

    Raises ValueError without keys, StoreError when the server refuses.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    endpoint = query.get("endpoint", [AMAZON])[0]
    client = s3_client(endpoint, query.get("region", [REGION])[0])
    with refusals_said(f"store {parts.netloc} at {endpoint}"):
        _make_bucket(client, parts.netloc)
    return client, parts.netloc, parts.path


class S3Store(ParallelTransfers):
    """Blobs in `{prefix}blobs/ab/abcd...`, records in `{prefix}records/`.

    S3 shows an object whole or not at all, also a multipart one, so a writer that dies leaves nothing readable.
    """

    def __init__(self, client: Minio, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    @classmethod
    def from_url(cls, url: str) -> "S3Store":
        """The store at `s3://bucket/prefix?endpoint=http://host:port[&region=...]`. Makes the bucket if it is missing.

        Raises ValueError without keys, StoreError when the server refuses.
        """
        return cls(*bucket_at(url))

    def put(self, data: bytes | Path) -> Digest:
        digest = digest_of_file(data) if isinstance(data, Path) else digest_of(data)
        found = self._stat(self._blob(digest))
        if not found or found.size != digest.size_bytes or not is_fresh(found.written):
            self._put_object(self._blob(digest), data)
        return digest

    def get(self, digest: Digest) -> bytes:
        try:
            return verified(self._get_object(self._blob(digest)), digest)
        except NoObject:
            raise BlobMissing(digest.sha256) from None

    def fetch(self, digest: Digest, path: Path) -> None:
        name = self._blob(digest)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        sha = hashlib.sha256()
        try:
            with (
                full_disk_said(path.parent),
                refusals_said(name),
                self._client.get_object(self._bucket, name) as response,
                part.open("wb") as file,
            ):
                for piece in response.stream(CHUNK):
                    sha.update(piece)
                    file.write(piece)
            if sha.hexdigest() != digest.sha256:
                raise BlobCorrupt(digest.sha256)
            part.replace(path)
        except NoObject:
            raise BlobMissing(digest.sha256) from None
        finally:
            part.unlink(missing_ok=True)

    def has(self, digest: Digest) -> bool:
        found = self._stat(self._blob(digest))
        return found is not None and found.size == digest.size_bytes

    def put_record(self, key: str, value: bytes) -> None:
        self._put_object(f"{self._prefix}records/{check_key(key)}", value)

    def get_record(self, key: str) -> bytes | None:
        try:
            return self._get_object(f"{self._prefix}records/{check_key(key)}")
        except NoObject:
            return None

    def list_records(self, prefix: str | None = None) -> Iterator[Kept]:
        folder = f"records/{check_key(prefix)}/" if prefix is not None else "records/"
        yield from sorted(self._list(folder, "records/"), key=lambda each: each.name)

    def remove_record(self, key: str) -> None:
        name = f"{self._prefix}records/{check_key(key)}"
        with refusals_said(name):
            self._client.remove_object(self._bucket, name)

    def list_blobs(self) -> Iterator[Kept]:
        for each in self._list("blobs/", "blobs/"):
            yield replace(each, name=each.name.rpartition("/")[2])

    def remove_blobs(self, sha256s: Sequence[str]) -> None:
        names = [self._blob(Digest(sha256=sha256)) for sha256 in sha256s]
        with refusals_said(f"the removal of {len(names)} blobs"):
            refused = list(self._client.remove_objects(self._bucket, [DeleteObject(name) for name in names]))
        if refused:
            raise StoreError(f"the S3 server kept {len(refused)} of {len(names)} blobs: {refused[0].name}: {refused[0].message}")

    def _list(self, folder: str, root: str) -> Iterator[Kept]:
        """The objects below `folder`, named from `root`."""
        with refusals_said(folder):
            for item in self._client.list_objects(self._bucket, prefix=self._prefix + folder, recursive=True):
                if item.object_name and item.last_modified:
                    name = item.object_name.removeprefix(self._prefix + root)
                    yield Kept(name, item.size or 0, item.last_modified)

    def _stat(self, name: str) -> Kept | None:
        try:
            with refusals_said(name):
                found = self._client.stat_object(self._bucket, name)
        except NoObject:
            return None
        return Kept(name, found.size or 0, found.last_modified or datetime.min.replace(tzinfo=UTC))

    def _blob(self, digest: Digest) -> str:
        sha256 = check_sha256(digest.sha256)
        return f"{self._prefix}blobs/{sha256[:2]}/{sha256}"

    def _put_object(self, name: str, data: bytes | Path) -> None:
        with refusals_said(name):
            if isinstance(data, Path):
                # Multipart from 16 MiB on, parts in parallel.
                self._client.fput_object(self._bucket, name, str(data), part_size=PART, num_parallel_uploads=PARALLEL)
            else:
                self._client.put_object(self._bucket, name, io.BytesIO(data), len(data))

    def _get_object(self, name: str) -> bytes:
        """Raises NoObject."""
        with refusals_said(name), self._client.get_object(self._bucket, name) as response:
            return response.read()


class NoObject(Exception):
    """The bucket holds nothing under this name."""


def _make_bucket(client: Minio, bucket: str) -> None:
    """Make the bucket if it is missing, as another service may be doing at this moment."""
    if client.bucket_exists(bucket):
        return
    try:
        client.make_bucket(bucket)
    except S3Error as error:
        if error.code not in _OURS_ALREADY:
            raise


@contextmanager
def refusals_said(what: str) -> Iterator[None]:
    """Turn what goes wrong between here and the server into a StoreError that names `what`, or into NoObject."""
    try:
        yield
    except S3Error as error:
        if error.code in _MISSING:
            raise NoObject(what) from None
        kind = StoreFull if error.code in _FULL else StoreError
        raise kind(f"the S3 server refused {what}: {error}") from error
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise StoreError(f"the S3 server did not answer for {what}: {error}") from error
