"""A stage that does what its params say: the subject of the contract's own tests."""

import asyncio
import os
import signal
import time
from pathlib import Path

from google.protobuf.message import Message
from pydantic import SecretStr

from kyara.keyframer.v1.keyframer_pb2 import KeyframeParams
from kyara_artifacts import ref
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError, StageSettings, settings_config


class ProbeSettings(StageSettings):
    """Settings of the probe."""

    model_config = settings_config("probe")
    witness: Path
    """A folder in which every run of the work leaves a file."""
    password: SecretStr = SecretStr("")
    """Nobody's business."""
    cards: float = 0.0
    """Graphics cards that it says it holds."""

    @property
    def gpus(self) -> float:
        """As told."""
        return self.cards

    @property
    def models_folder(self) -> Path:
        """Where none is."""
        return self.witness


def note(ctx: StageContext[ProbeSettings], what: str) -> None:
    """Leave a trace that tests count."""
    (ctx.settings.witness / f"{what}-{os.getpid()}-{time.monotonic_ns()}").touch()


async def run(ctx: StageContext[ProbeSettings], params: KeyframeParams, inputs: Inputs) -> Outputs:
    """Count to `max_height`, a step every `min_gap_s`, with a checkpoint at each; misbehave when `black_luma` says so."""
    note(ctx, "run")
    del inputs  # a probe needs none
    if params.black_luma == 1:
        raise StageError.invalid("this input is wrong")
    if params.black_luma == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if params.black_luma == 3:
        time.sleep(params.min_gap_s)  # holds its own interpreter, as heavy work does
    if params.black_luma == 5:
        note(ctx, ctx.settings.password.get_secret_value())
    begin = int(ctx.store.get(ctx.last_checkpoint.digest)) if ctx.last_checkpoint else 0
    for step in range(begin, params.max_height):
        note(ctx, f"step{step}")
        await asyncio.sleep(params.min_gap_s)
        ctx.checkpoint(ref("count", ctx.store.put(str(step + 1).encode()), "text/plain"))
        ctx.progress("count", step + 1, params.max_height, "steps")
    if params.black_luma == 4:
        ctx.reject("one", "it is bad")
    return {"count": ref("count", ctx.store.put(str(params.max_height).encode()), "text/plain")}


def models(params: Message, folder: Path | None) -> dict[str, str]:
    """No model counts; one is not there when `black_luma` says so."""
    assert isinstance(params, KeyframeParams)
    if params.black_luma == 6:
        raise StageError.precondition(f"the model is not in {folder}")
    return {}


OPERATIONS = (
    Operation(name="probe", version=3, params=KeyframeParams, run=run, models=models),
    Operation(name="probe.world", version=1, params=KeyframeParams, run=run, cached=False),
)
