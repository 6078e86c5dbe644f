"""A queued run that is cancelled, and a head that dies, on a simulated cluster of one node. `make test-scaling`."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from kyara_rayjobs import RayApi
from tests.scaling.cluster import Cluster, cluster_of
from tests.scaling.runs import CHECKPOINT_EVERY, Run, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with cluster_of(1, idle_s=5) as started:
        yield started


async def test_a_queued_run_that_is_cancelled_leaves_nothing_behind_and_one_after_it_has_its_turn(
    cluster: Cluster, tmp_path: Path
) -> None:
    first, queued, last = (
        Run(name, f"file://{tmp_path}/store", cluster.address, tmp_path) for name in ("first", "queued", "last")
    )
    training = asyncio.create_task(first.outputs())
    await until(lambda: first.step > 0)
    waiting = asyncio.create_task(queued.outputs())
    await until(lambda: len(cluster.tasks("_train")) == 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    outputs = await last.outputs()
    assert await training == outputs
    async with RayApi(cluster.address) as api:
        stopped = await api.job(f"kyara-trainer-{queued.action[:32]}")
    assert stopped is not None and stopped["status"] == "STOPPED"
    began = [task for task in cluster.tasks("_train") if task["start_time_ms"]]
    assert len(began) == 2, f"the cancelled run was never at work: {began}"


async def test_a_run_goes_on_from_its_checkpoint_when_the_head_dies_with_all_nodes_and_comes_back(
    cluster: Cluster, tmp_path: Path
) -> None:
    calm, troubled = (Run(name, f"file://{tmp_path}/store", cluster.address, tmp_path) for name in ("calm", "troubled"))
    training = asyncio.create_task(troubled.outputs())
    await until(lambda: troubled.step > 2 * CHECKPOINT_EVERY)
    cluster.kill()
    cluster.start()
    outputs = await training
    assert await troubled.resumed_at() > CHECKPOINT_EVERY, "it began anew"
    assert outputs == await calm.outputs()
