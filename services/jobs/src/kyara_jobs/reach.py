"""Which blobs are led to: from jobs and records to artifacts, from an artifact's manifest to its blobs.

Cautious: whatever looks like a SHA-256 in a record, or in the JSON of an artifact that one refers to, counts as a blob that
is needed. So a stage that keeps names of blobs in a form of its own loses none of them.
"""

import json
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from google.protobuf import json_format

from kyara.jobs.v1.jobs_pb2 import Job
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import BlobCorrupt, BlobMissing, Store
from kyara_artifacts.store import PARALLEL

RESULTS = "actions/"
CHECKPOINTS = "checkpoints/"
_NAMES_BLOBS = ("application/json", "application/jsonl")
_SHA256 = re.compile(rb"[0-9a-f]{64}")

log = structlog.get_logger()


class Reach:
    """Follows what leads to what in a store, and reads each artifact once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: set[str] = set()
        self.blobs: set[str] = set()
        """SHA-256 of every blob found so far."""

    def add_jobs(self, jobs: Iterable[Job]) -> None:
        """All that the stages of these jobs gave."""
        self._add(output for job in jobs for stage in job.stages for output in stage.outputs.values())

    def add_records(self, keys: Iterable[str]) -> None:
        """All that these records name."""
        refs: list[ArtifactRef] = []
        with ThreadPoolExecutor(PARALLEL) as pool:
            for key, data in pool.map(lambda key: (key, self._store.get_record(key) or b""), keys):
                self.blobs |= _names_in(data)
                refs += [ArtifactRef.FromString(data)] if key.startswith(CHECKPOINTS) else _refs_in(json.loads(data or b"{}"))
        self._add(refs)

    def leads_to_all_of(self, result_key: str) -> bool:
        """Whether every output of a kept result has been found."""
        record = json.loads(self._store.get_record(result_key) or b"{}")
        return all(ref.digest.sha256 in self.blobs for ref in _refs_in(record.get("result", {})))

    def _add(self, refs: Iterable[ArtifactRef]) -> None:
        new = {ref.digest.sha256: ref for ref in refs if ref.digest.sha256 not in self._seen}
        self._seen |= new.keys()
        self.blobs |= new.keys()
        with ThreadPoolExecutor(PARALLEL) as pool:
            for named in pool.map(self._named_by, new.values()):
                self.blobs |= named

    def _named_by(self, ref: ArtifactRef) -> set[str]:
        if ref.media_type not in _NAMES_BLOBS:
            return set()
        try:
            return _names_in(self._store.get(ref.digest))
        except (BlobMissing, BlobCorrupt) as error:
            log.warning("an artifact cannot be read; what it alone names is lost with it", kind=ref.kind, error=str(error))
            return set()


def _names_in(data: bytes) -> set[str]:
    return {name.decode() for name in _SHA256.findall(data)}


def _refs_in(value: Any) -> Iterator[ArtifactRef]:
    """Every ArtifactRef somewhere in a JSON value."""
    if isinstance(value, dict):
        if "digest" in value and "kind" in value:
            yield json_format.ParseDict(value, ArtifactRef(), ignore_unknown_fields=True)
        else:
            for each in value.values():
                yield from _refs_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from _refs_in(each)
