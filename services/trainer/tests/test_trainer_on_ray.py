"""The stage with a real Ray: it joins, survives the death of Ray's worker, and can be cancelled."""

import asyncio
import os
import signal
import time

import psutil
import pytest

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import FileSet, get_json
from kyara_rayjobs import RayApi
from kyara_rayjobs.report import read_record
from kyara_stage import StageError
from services.trainer.tests.stage_on_ray import Stage, until
from tests.servers.ray import Head

pytestmark = pytest.mark.timeout(900)  # only a machine that is busy with other things needs as long


def worker_pid(head: Head) -> int:
    """The process of Ray's worker that trains."""
    processes = psutil.Process(head.pid).children(recursive=True)
    return next(p.pid for p in processes if "ray::_train" in " ".join(p.cmdline()))


async def test_a_worker_that_is_killed_does_not_change_the_result(stage: Stage, head: Head, params: TrainParams) -> None:
    params.steps, params.checkpoint_every = 60, 10
    whole = await stage.run("a" * 64, params)
    assert len(FileSet.load(stage.store, whole["saves"])) == 2
    phases = {event.progress.phase for event in stage.events if event.HasField("progress")}
    assert "training" in phases

    stage.events.clear()
    killed = asyncio.create_task(stage.run("b" * 64, params))
    await until(lambda: bool(read_record(stage.store, f"trainer/{'b' * 64}", "checkpoint")))
    os.kill(worker_pid(head), signal.SIGKILL)
    assert await killed == whole
    assert any(event.HasField("checkpoint") for event in stage.events)


async def test_a_trainer_that_comes_back_joins_its_run(stage: Stage, head: Head, params: TrainParams) -> None:
    params.steps = 80
    action = "c" * 64
    first = asyncio.create_task(stage.run(action, params))
    await until(lambda: stage.progress(action).get("phase") == "training")
    # A process that dies tells nobody: its task is left where it is, and another one asks for the same action.
    second = asyncio.create_task(stage.run(action, params))
    assert await second == await first
    async with RayApi(head.address) as api:
        assert await api.job(f"kyara-trainer-{action[:32]}") is not None
        assert await api.job(f"kyara-trainer-{action[:32]}-2") is None
    began = time.monotonic()
    await stage.run(action, params)
    assert time.monotonic() - began < 5, "a run that ended is not run again"


async def test_cancelling_stops_the_ray_job_and_the_next_attempt_goes_on(stage: Stage, head: Head, params: TrainParams) -> None:
    params.steps, params.checkpoint_every = 60, 10
    action = "d" * 64
    running = asyncio.create_task(stage.run(action, params))
    await until(lambda: bool(read_record(stage.store, f"trainer/{action}", "checkpoint")))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with RayApi(head.address) as api, asyncio.timeout(30):
        while (await api.job(f"kyara-trainer-{action[:32]}") or {})["status"] != "STOPPED":
            await asyncio.sleep(0.1)
    outputs = await stage.run(action, params)
    assert len(get_json(stage.store, outputs["log"])["loss"]) == 60


async def test_an_error_of_the_run_reaches_the_caller_as_it_is(stage: Stage, params: TrainParams) -> None:
    params.bucket_step = 12
    with pytest.raises(StageError, match="multiple of 8"):
        await stage.run("e" * 64, params)


async def test_a_ray_that_is_away_is_unavailable_and_the_message_names_it(
    stage: Stage, params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kyara_rayjobs.runs.PATIENCE_S", 0.5)
    stage.settings = stage.settings.model_copy(update={"ray": "http://127.0.0.1:1"})
    with pytest.raises(StageError, match=r"http://127.0.0.1:1 does not answer"):
        await stage.run("f" * 64, params)
