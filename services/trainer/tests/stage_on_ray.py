"""The trainer's one operation on a real Ray, called as the stage's child does it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kyara.stage.v1.stage_pb2 import ArtifactRef, RunResponse
from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import Store
from kyara_rayjobs.report import read_record
from kyara_stage import StageContext
from kyara_trainer.settings import TrainerSettings
from kyara_trainer.stage import OPERATIONS
from tests.servers.ray import Head

ENDS_S = 280.0


class Stage:
    """The stage, with one dataset."""

    def __init__(self, tmp_path: Path, store: Store, head: Head, models: Path, dataset: ArtifactRef) -> None:
        self.settings = TrainerSettings(store=f"file://{tmp_path}/store", ray=head.address, models=models, threads=1)
        self.store, self.dataset, self.scratch = store, dataset, tmp_path
        self.events: list[RunResponse] = []

    async def run(self, action: str, params: TrainParams) -> dict[str, ArtifactRef]:
        """The outputs of an action."""
        ctx = StageContext(action, self.store, self.settings, self.scratch, self.events.append)
        async with asyncio.timeout(ENDS_S):
            return await OPERATIONS[0].run(ctx, params, {"dataset": self.dataset})

    def progress(self, action: str) -> dict[str, Any]:
        """What its run said last."""
        return read_record(self.store, f"trainer/{action}", "progress")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(ENDS_S):
        while not condition():
            await asyncio.sleep(0.05)
