"""One run on several of Ray's workers, by a real Ray Train."""

import asyncio
import os
import signal

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import FileSet, Store, get_json
from kyara_rayjobs.report import read_record
from kyara_stage import StageError
from services.trainer.tests.stage_on_ray import Stage, until
from tests.servers.ray import Head

# Ray Train starts some ten processes a run; only a machine that is busy with other things needs as long.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def two(stage: Stage) -> Stage:
    """The trainer with two workers a run."""
    stage.settings = stage.settings.model_copy(update={"workers": 2})
    return stage


def last_save(store: Store, outputs: dict[str, ArtifactRef]) -> dict[str, torch.Tensor]:
    return load(store.get(FileSet.load(store, outputs["saves"]).files[-1].digest))


async def test_two_workers_train_what_one_trains_with_accumulation_within_rounding(two: Stage, params: TrainParams) -> None:
    params.buckets, params.batch_size, params.gradient_accumulation = 1, 2, 2
    shared = await two.run("a" * 64, params)
    two.settings = two.settings.model_copy(update={"workers": 1})
    alone = await two.run("b" * 64, params)
    losses = [get_json(two.store, outputs["log"])["loss"] for outputs in (shared, alone)]
    assert np.allclose(*losses, rtol=1e-4)
    found, expected = last_save(two.store, shared), last_save(two.store, alone)
    assert all(torch.allclose(value, expected[name], rtol=1e-4, atol=2e-4) for name, value in found.items())


async def test_a_run_of_which_a_worker_is_killed_ends_in_the_same_bytes(two: Stage, head: Head, params: TrainParams) -> None:
    params.steps, params.checkpoint_every = 60, 10
    whole = await two.run("c" * 64, params)
    action = "d" * 64
    killed = asyncio.create_task(two.run(action, params))
    await until(lambda: bool(read_record(two.store, f"trainer/{action}", "checkpoint")))
    workers = [p for p in psutil.Process(head.pid).children(recursive=True) if "RayTrainWorker" in " ".join(p.cmdline())]
    assert len(workers) == 2
    os.kill(max(workers, key=lambda process: process.pid).pid, signal.SIGKILL)
    assert await killed == whole


async def test_a_loss_that_is_not_finite_ends_all_workers_and_reaches_the_caller(two: Stage, params: TrainParams) -> None:
    params.unet.learning_rate, params.max_gradient_norm = 1e30, 0
    with pytest.raises(StageError, match="lower the learning rates"):
        await two.run("e" * 64, params)
