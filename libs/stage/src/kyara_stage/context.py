"""What a stage's function is given beside its params and inputs."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from kyara.stage.v1.stage_pb2 import ArtifactRef, Checkpoint, Progress, RunResponse
from kyara_artifacts import Store
from kyara_stage.settings import StageSettings

T = TypeVar("T")
S = TypeVar("S", bound=StageSettings)

PROGRESS_EVERY_S = 0.25


def checkpoint_key(action_sha256: str) -> str:
    """Key of the record that holds an action's last checkpoint."""
    return f"checkpoints/{action_sha256}"


class StageContext(Generic[S]):
    """One attempt at an action, as its function sees it."""

    def __init__(self, action_sha256: str, store: Store, settings: S, scratch: Path, emit: Callable[[RunResponse], None]) -> None:
        self.action_sha256 = action_sha256
        self.store = store
        self.settings = settings
        self.scratch = scratch
        """An empty folder of this attempt, removed when it ends."""
        self.log = structlog.get_logger()
        self.rejected: list[dict[str, str]] = []
        """Items set aside so far, each with its reason."""
        self._emit = emit
        self._next_progress = 0.0
        self.last_checkpoint = self._read_checkpoint()
        """Where an earlier attempt at the same action came to, if there was one."""

    def progress(
        self,
        phase: str,
        done: int,
        total: int = 0,
        unit: str = "",
        metrics: Mapping[str, float] | None = None,
        preview: ArtifactRef | None = None,
    ) -> None:
        """Say how far the work is; `total` 0 means unknown. Call it as often as is handy: it is throttled."""
        now = time.monotonic()
        if now < self._next_progress and done != total:
            return
        self._next_progress = now + PROGRESS_EVERY_S
        event = Progress(phase=phase, done=done, total=total, unit=unit, metrics=metrics, preview=preview)
        self._emit(RunResponse(progress=event))

    def track(self, items: Iterable[T], phase: str, unit: str, total: int | None = None) -> Iterator[T]:
        """Yield `items`, saying how far the work is."""
        known = total if total is not None else len(items) if isinstance(items, Sized) else 0
        self.progress(phase, 0, known, unit)
        for done, item in enumerate(items, 1):
            yield item
            self.progress(phase, done, known, unit)

    def reject(self, item: str, reason: str) -> None:
        """Set one bad item aside; the stage goes on. The list becomes the output `rejected`."""
        self.rejected.append({"item": item, "reason": reason})

    def checkpoint(self, artifact: ArtifactRef) -> None:
        """Keep `artifact` as the state from which another attempt goes on."""
        self.store.put_record(checkpoint_key(self.action_sha256), artifact.SerializeToString())
        self.last_checkpoint = artifact
        self._emit(RunResponse(checkpoint=Checkpoint(artifact=artifact)))

    def _read_checkpoint(self) -> ArtifactRef | None:
        record = self.store.get_record(checkpoint_key(self.action_sha256))
        if record is None:
            return None
        artifact = ArtifactRef.FromString(record)
        return artifact if self.store.has(artifact.digest) else None
