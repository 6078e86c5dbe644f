"""Runs of the trainer on a simulated cluster of at most four nodes with a graphics card each. `make test-scaling`.

The timeline is printed, and drawn as out/scaling/timeline.png; the numbers are in out/scaling/results.json.
"""

import asyncio
import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.scaling.course import IDLE_S, NODES, RUNS, Course, show
from tests.scaling.runs import CHECKPOINT_EVERY

OUT = Path("out/scaling")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    course = asyncio.run(show(tmp_path_factory.mktemp("scaling")))
    console = Console(width=100)
    console.print(course.timeline.table())
    course.timeline.draw(OUT / "timeline.png")
    results = course.results()
    (OUT / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    console.print(results)
    return course


def test_runs_wait_with_no_node_there_and_bring_up_as_many_as_may_be(course: Course) -> None:
    rows = [numbers for _, numbers in course.timeline.rows()]
    assert rows[0][0] == 0 and max(queued for _, _, queued, _ in rows) == RUNS
    assert max(nodes for nodes, *_ in rows) == NODES
    assert all(running <= nodes for nodes, running, *_ in rows)


def test_eight_runs_take_two_waves_on_four_nodes(course: Course) -> None:
    assert course.timeline.waves(course.calm_ends) == RUNS / NODES
    assert all(outputs == course.calm[0] for outputs in course.calm)


def test_a_run_whose_node_dies_goes_on_elsewhere_to_the_same_bytes(course: Course) -> None:
    lost, after = course.lost_and_next()
    assert after.node != lost.node
    assert course.resumed_at > course.step_before - CHECKPOINT_EVERY, "it began further back than its last checkpoint"
    assert all(outputs == course.calm[0] for outputs in course.troubled)


def test_nodes_go_once_they_have_nothing_to_do(course: Course) -> None:
    assert course.timeline.rows()[-1][1][:2] == (0, 0)
    idle = [node for node in course.timeline.nodes if node.id != course.lost_node]
    assert all("idle" in node.why for node in idle)
    for node in idle:
        last = max((each.ended or 0.0 for each in course.timeline.tries if each.node == node.id), default=node.came)
        assert node.went is not None and node.went - last > IDLE_S - 1
