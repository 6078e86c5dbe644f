"""The side that runs on Ray: how far the work is and how it ended, as records in the store.

Records are how the two sides talk: they outlive the stage's process, Ray's worker and Ray's head alike.
"""

import json
import time
import traceback
from collections.abc import Callable
from typing import Any, Self

from google.protobuf import json_format

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Store, canonical_json, open_store
from kyara_rpc import configure_traces, span_of
from kyara_stage import StageError
from kyara_stage.errors import status_of
from kyara_stage.metrics import GPU_SECONDS_METRIC

PROGRESS_EVERY_S = 1.0


class RunReport:
    """Writes the records of one run. `key` is `<room>/<digest of the action>`.

    A `silent` one writes none: it is for those that help another process with its run.
    """

    def __init__(self, store: Store, key: str, submission: str, num_gpus: float = 0.0, *, silent: bool = False) -> None:
        self._store = store
        self._silent = silent
        self._num_gpus = num_gpus
        self._began = time.monotonic()
        self._last: dict[str, Any] = {}
        self._key = key
        self._submission = submission
        self._next = 0.0
        self._checkpoint = read_checkpoint(store, key)

    @classmethod
    def open(cls, argument: dict[str, Any], *, silent: bool = False) -> Self:
        """The report of a run started with `argument`, whose `store` is the store's address."""
        store, num_gpus = open_store(argument["store"]), argument.get("num_gpus", 0.0)
        return cls(store, argument["key"], argument["submission"], num_gpus, silent=silent)

    def begin(self, phase: str) -> None:
        """The first word of a submission: what an earlier one of the same name left no longer counts."""
        self._put("result", {})
        self.progress(phase, 0, now=True)

    @property
    def last_checkpoint(self) -> ArtifactRef | None:
        """Where an earlier try at the run came to, if there was one."""
        return self._checkpoint

    def progress(
        self, phase: str, done: int, total: int = 0, unit: str = "", metrics: dict[str, float] | None = None, *, now: bool = False
    ) -> None:
        """Say how far the work is; throttled, unless it must be seen `now`."""
        if time.monotonic() < self._next and not now:
            return
        self._next = time.monotonic() + PROGRESS_EVERY_S
        self._last = {"phase": phase, "done": done, "total": total, "unit": unit, "metrics": metrics or {}}
        self._put("progress", self._with_gpu_seconds())

    def checkpoint(self, artifact: ArtifactRef) -> None:
        """Keep the state from which another try goes on."""
        self._checkpoint = artifact
        self._put("checkpoint", json_format.MessageToDict(artifact))

    def left(self, artifact: ArtifactRef) -> None:
        """Have what a run that fails had made so far kept for a while."""
        self._put("left", json_format.MessageToDict(artifact))

    def succeeded(self, value: dict[str, Any]) -> None:
        """The run's result: any JSON."""
        if self._num_gpus and self._last:
            self._put("progress", self._with_gpu_seconds())
        self._put("result", {"submission": self._submission, "value": value})

    def failed(self, error: BaseException) -> None:
        """The run's error, which the stage gives on."""
        status = status_of(error)
        self._put("result", {"submission": self._submission, "error": {"code": status.code, "message": status.message}})

    def _with_gpu_seconds(self) -> dict[str, Any]:
        """The last progress, with how long this try has held its graphics cards."""
        if not self._num_gpus:
            return self._last
        held = (time.monotonic() - self._began) * self._num_gpus
        return {**self._last, "metrics": {**self._last["metrics"], GPU_SECONDS_METRIC: held}}

    def _put(self, name: str, value: dict[str, Any]) -> None:
        if not self._silent:
            self._store.put_record(f"{self._key}/{name}", canonical_json(value))


def run_reported(
    report: RunReport,
    argument: dict[str, Any],
    work: Callable[[], dict[str, Any]],
    not_reported: type[Exception] | tuple[type[Exception], ...] = (),
) -> None:
    """Do `work` and report its end. Its errors are part of the report: only a dead process makes Ray try again.

    `argument` is what the run was started with: the work is a span of the trace that asked for it. Errors `not_reported` are
    raised: they are for Ray, as a death is.
    """
    room = argument["key"].partition("/")[0]
    configure_traces(f"{room}-ray", argument["traces"])
    try:
        with span_of(f"{room} on Ray", argument["trace"], submission=argument["submission"]):
            value = work()
        report.succeeded(value)
    except not_reported:
        raise
    except Exception as error:
        if not isinstance(error, StageError):
            traceback.print_exc()
        report.failed(error)


def read_checkpoint(store: Store, key: str) -> ArtifactRef | None:
    """The run's last checkpoint, when it is still in the store."""
    record = read_record(store, key, "checkpoint")
    if not record:
        return None
    artifact = json_format.ParseDict(record, ArtifactRef())
    return artifact if store.has(artifact.digest) else None


def read_record(store: Store, key: str, name: str) -> dict[str, Any]:
    """A record of the run; empty when it is not there."""
    data = store.get_record(f"{key}/{name}")
    return json.loads(data) if data else {}
