"""Runs of the real trainer, as its stage asks Ray for them, each with a graphics card of its own."""

import asyncio
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from kyara.stage.v1.stage_pb2 import ArtifactRef, RunResponse
from kyara_artifacts import Store, open_store
from kyara_rayjobs.api import RayApi
from kyara_rayjobs.report import read_checkpoint, read_record
from kyara_stage import StageContext
from kyara_trainer.settings import TrainerSettings
from kyara_trainer.stage import OPERATIONS
from services.trainer.tests.example_trainer import example

STEPS, CHECKPOINT_EVERY = 100, 10
ENDS_S = 500.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_RESUMED = re.compile(r"goes on from a checkpoint\s+step=(\d+)")


class Run:
    """One run: the trainer's operation on the miniature base model, followed as the stage's child does it.

    All runs train the same from the same seed, under actions of their own: so they must all leave the same bytes.
    """

    def __init__(self, name: str, store_url: str, ray: str, scratch: Path) -> None:
        self.action = hashlib.sha256(name.encode()).hexdigest()
        self.events: list[RunResponse] = []
        self._store: Store = open_store(store_url)
        settings = TrainerSettings(store=store_url, ray=ray, num_gpus=1, threads=1)
        self._ctx = StageContext(self.action, self._store, settings, scratch, self.events.append)

    async def outputs(self) -> dict[str, ArtifactRef]:
        """Do it, or join it; what it leaves."""
        params, inputs = example(self._store)
        params.steps, params.checkpoint_every = STEPS, CHECKPOINT_EVERY
        async with asyncio.timeout(ENDS_S):
            return await OPERATIONS[0].run(self._ctx, params, inputs)

    @property
    def step(self) -> int:
        """Steps that it last said are done; 0 until it trains."""
        said = read_record(self._store, f"trainer/{self.action}", "progress")
        return said["done"] if said.get("phase") == "training" else 0

    @property
    def has_checkpoint(self) -> bool:
        """Whether another try would not begin at the first step."""
        return read_checkpoint(self._store, f"trainer/{self.action}") is not None

    async def resumed_at(self) -> int:
        """The step at which its last try went on, as that said on Ray; 0 when it began anew."""
        async with RayApi(self._ctx.settings.ray) as api:
            said = [await api.logs(f"kyara-trainer-{self.action[:32]}{again}") for again in ("", "-2", "-3")]
        last = next(text for text in reversed(said) if text)
        found = _RESUMED.search(_COLOUR.sub("", last))
        return int(found[1]) if found else 0


async def until(condition: Callable[[], bool], seconds: float = ENDS_S) -> None:
    """Return once `condition` holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.25)
