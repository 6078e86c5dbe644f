"""The show: runs on nodes that come from none, one of them lost in the middle, and all gone again when nothing is to do."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_rayjobs import RayApi
from tests.scaling.cluster import Cluster, cluster_of
from tests.scaling.runs import CHECKPOINT_EVERY, Run, until
from tests.scaling.timeline import Node, Timeline, Try

NODES, RUNS, IDLE_S = 4, 8, 10.0
GONE_S = 90.0
MEBI = 1 << 20


@dataclass(frozen=True)
class Course:
    """What was seen."""

    timeline: Timeline
    calm: list[dict[str, ArtifactRef]]
    """What each of the first eight runs left."""
    troubled: list[dict[str, ArtifactRef]]
    """What each of four further runs left, of which one lost its node."""
    lost_node: str
    step_before: int
    """The last step of the run that lost its node, before it did."""
    resumed_at: int
    """The step of the checkpoint from which it went on, 0 when it began anew."""
    head: tuple[tuple[float, float], tuple[float, float]]
    """Memory of the head in MiB and the seconds that its processors have worked, without runs and with all eight."""
    submit_s: list[float]

    @property
    def calm_ends(self) -> float:
        """When the first eight runs were done."""
        return self.timeline.marks["eight done"]

    def lost_and_next(self) -> tuple[Try, Try]:
        """The try that lost its node, and the one that followed it."""
        lost = next(each for each in self.timeline.tries if each.node == self.lost_node and not each.good)
        return lost, next(each for each in self.timeline.tries if each.run == lost.run and each.good)

    def results(self) -> dict[str, Any]:
        """The numbers, to keep."""
        line = self.timeline
        lost, after = self.lost_and_next()
        killed = line.marks["a node is killed"]
        gone = next(node for node in line.nodes if node.id == self.lost_node)
        assert lost.ended is not None and after.began is not None
        calm = [each for each in line.tries if each.began is not None and each.began < self.calm_ends]
        seconds = [each.ended - each.began for each in calm if each.ended is not None and each.began is not None]
        last = max(each.ended or 0.0 for each in line.tries)
        (base, idle_s), (full, busy_s) = self.head
        return {
            "nodes_at_most": NODES,
            "runs": RUNS,
            "waves": line.waves(self.calm_ends),
            "first_node_s": round(line.nodes[0].came - line.submitted[0], 1),
            "all_nodes_s": round(line.nodes[NODES - 1].came - line.submitted[0], 1),
            "run_median_s": round(statistics.median(seconds), 1),
            "eight_runs_s": round(self.calm_ends - line.submitted[0], 1),
            "run_loss_noticed_s": round(lost.ended - killed, 1),
            "node_loss_noticed_s": round((gone.went or 0.0) - killed, 1),
            "run_again_after_loss_s": round(after.began - killed, 1),
            "step_before_loss": self.step_before,
            "resumed_at_step": self.resumed_at,
            "checkpoint_every": CHECKPOINT_EVERY,
            "last_run_to_no_nodes_s": round(max(node.went or 0.0 for node in line.nodes) - last, 1),
            "idle_timeout_s": IDLE_S,
            "submit_ms": round(1000 * statistics.median(self.submit_s), 1),
            "head_mib": round(base, 1),
            "head_mib_per_run": round((full - base) / RUNS, 1),
            "head_cpu_s_per_run": round((busy_s - idle_s) / RUNS, 1),
        }


async def show(folder: Path) -> Course:
    """Play it: about five minutes on two cores."""
    with cluster_of(NODES, IDLE_S) as cluster:
        return await _Show(cluster, folder).course()


class _Show:
    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._submitted: list[float] = []
        self._marks: dict[str, float] = {}
        self._began = time.time()

    async def course(self) -> Course:
        submit_s = await self._submissions()
        base = self._head()
        self._began = time.time()
        calm = self._runs("calm", RUNS)
        tasks = self._start(calm)
        await until(lambda: len(self._read().tries) == RUNS)
        full = self._head()
        calm_outputs = await asyncio.gather(*tasks)
        self._mark("eight done")
        await until(lambda: not self._alive(), GONE_S)

        troubled = self._runs("troubled", NODES)
        tasks = self._start(troubled)
        await until(lambda: max(run.step for run in troubled) > 3 * CHECKPOINT_EVERY)
        before = {run.action: run.step for run in troubled}
        lost = self._working()[0].node
        assert lost
        self._mark("a node is killed")
        self._cluster.kill_node(lost)
        troubled_outputs = await asyncio.gather(*tasks)
        hit = _restarted(troubled)
        await until(lambda: not self._alive(), GONE_S)
        await asyncio.sleep(2)  # Ray's records of what a node did come a second after it
        timeline = self._read()
        timeline.submitted, timeline.marks = self._submitted, self._marks
        return Course(
            timeline=timeline,
            calm=calm_outputs,
            troubled=troubled_outputs,
            lost_node=lost,
            step_before=before[hit.action],
            resumed_at=await hit.resumed_at(),
            head=(base, full),
            submit_s=submit_s,
        )

    async def _submissions(self) -> list[float]:
        """Seconds that each of a few submissions takes, which do nothing."""
        taken: list[float] = []
        async with RayApi(self._cluster.address) as api:
            for number in range(RUNS):
                began = time.monotonic()
                await api.submit(f"nothing-{number}", "true")
                taken.append(time.monotonic() - began)
            for number in range(RUNS):
                while (await api.job(f"nothing-{number}") or {})["status"] != "SUCCEEDED":
                    await asyncio.sleep(0.5)
        return taken

    def _runs(self, name: str, count: int) -> list[Run]:
        store = f"file://{self._folder}/store"
        return [Run(f"{name} {number}", store, self._cluster.address, self._folder) for number in range(count)]

    def _start(self, runs: Sequence[Run]) -> list[asyncio.Task[dict[str, ArtifactRef]]]:
        self._submitted += [time.time() - self._began] * len(runs)
        return [asyncio.create_task(run.outputs()) for run in runs]

    def _mark(self, name: str) -> None:
        self._marks[name] = time.time() - self._began

    def _read(self) -> Timeline:
        return Timeline.read(self._cluster, self._began)

    def _alive(self) -> list[Node]:
        return [node for node in self._read().nodes if node.went is None]

    def _working(self) -> list[Try]:
        return [each for each in self._read().tries if each.began is not None and each.ended is None]

    def _head(self) -> tuple[float, float]:
        """Memory of the head's processes, what they share by its parts, and their processor time: runs wait in some of them."""
        memory, seconds = 0, 0.0
        for process in self._cluster.head_processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                memory += process.memory_full_info().pss
                seconds += process.cpu_times().user + process.cpu_times().system
        return memory / MEBI, seconds


def _restarted(runs: Sequence[Run]) -> Run:
    """The run that began twice."""
    starts = {run.action: sum(event.progress.phase == "loading the base model" for event in run.events) for run in runs}
    return max(runs, key=lambda run: starts[run.action])
