"""Videos in an S3 bucket: pinned by their keys and tags, downloaded whole."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from kyara_artifacts.digests import CHUNK
from kyara_artifacts.s3 import s3_client
from kyara_artifacts.store import full_disk_said
from kyara_fetcher.naming import media_type
from kyara_fetcher.pins import PinnedObject, PinnedObjects
from kyara_fetcher.settings import FetcherSettings
from kyara_stage import StageError

_SERVER_ERROR = 500
_MISSING = "NoSuchKey"


class BucketReader:
    """Reads the buckets of the S3 server that the settings name, with the environment's keys."""

    def __init__(self, settings: FetcherSettings) -> None:
        """Raises StageError (FAILED_PRECONDITION) when there are no keys."""
        self._endpoint = settings.s3_endpoint
        try:
            self._client: Minio = s3_client(settings.s3_endpoint, settings.s3_region)
        except ValueError as error:
            raise StageError.precondition(f"{error}; start the fetcher with them to read s3:// sources") from error

    def pin(self, source: str) -> PinnedObjects:
        """The videos of `s3://bucket/key`: the object of that key, or else all below it as below a folder.

        Raises StageError: INVALID_ARGUMENT when there is none, else as `download`.
        """
        bucket, _, prefix = source.partition("://")[2].partition("/")
        prefix = prefix.rstrip("/")
        if "?endpoint=" in source:
            raise StageError.invalid("an s3:// source names no endpoint; it is the fetcher's setting s3_endpoint; leave it out")
        try:
            with self._refusals_said(f"bucket {bucket}"):
                listed = list(self._client.list_objects(bucket, prefix=prefix, recursive=True))
        except ValueError as error:
            raise StageError.invalid(f"{source!r}: {error}; give s3://bucket/prefix") from error
        found = [PinnedObject(key=each.object_name or "", etag=each.etag or "", size=each.size or 0) for each in listed]
        videos = sorted((each for each in found if media_type(each.key)), key=lambda each: each.key)
        if single := tuple(each for each in videos if each.key == prefix):
            return PinnedObjects(bucket=bucket, folder=prefix.removesuffix(PurePosixPath(prefix).name), objects=single)
        folder = f"{prefix}/" if prefix else ""
        below = tuple(each for each in videos if each.key.startswith(folder))
        if not below:
            raise StageError.invalid(f"{source!r} holds no video by its objects' names; check the bucket and the prefix")
        return PinnedObjects(bucket=bucket, folder=folder, objects=below)

    def download(self, bucket: str, pinned: PinnedObject, path: Path, gained: Callable[[int], None]) -> None:
        """Bring an object to `path`, which appears whole or not at all; `gained` is told of each piece's bytes.

        Raises StageError: FAILED_PRECONDITION when it has changed or may not be read, UNAVAILABLE when the server is
        away. Raises StoreFull when the disk gets full.
        """
        part = path.with_suffix(".part")
        what = f"s3://{bucket}/{pinned.key}"
        with (
            full_disk_said(path.parent),
            self._refusals_said(what),
            self._client.get_object(bucket, pinned.key) as response,
            part.open("wb") as file,
        ):
            if response.headers.get("ETag", "").strip('"') != pinned.etag:
                raise _changed(what)
            for piece in response.stream(CHUNK):
                file.write(piece)
                gained(len(piece))
            # Another attempt will take the file for what it is called.
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    @contextmanager
    def _refusals_said(self, what: str) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            if error.code == _MISSING:
                raise _changed(what) from error
            said = f"the S3 server {self._endpoint} refuses {what}: {error.code}, {error.message}"
            if error.response.status >= _SERVER_ERROR:
                raise StageError.unavailable(f"{said}; try again later") from error
            raise StageError.precondition(
                f"{said}; check its name, and the endpoint and keys that the fetcher was started with"
            ) from error
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise StageError.unavailable(
                f"the S3 server {self._endpoint} did not answer for {what}: {error}; is its s3_endpoint right?"
            ) from error


def _changed(what: str) -> StageError:
    return StageError.precondition(f"{what} has changed since the job began; retry the job to take it as it is now")
