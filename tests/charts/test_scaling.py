"""Ray's workers, and what feeds them: numbers in values that fit each other. What a run takes is measured: docs/scaling.md."""

from typing import Any

import pytest

from tests.charts.rendering import EXAMPLES, Object, Rendered, example, render, rendered

WAVES = 2
"""Runs that wait for each that is at work, so that no worker waits for the next one."""
HEAD_MIB, RUN_ON_HEAD_MIB = 1024, 160
SERVER_MIB, RUN_FOLLOWED_MIB = 192, 64
WITH_RAY = [name for name in EXAMPLES if rendered(name).of("RayCluster")]


@pytest.mark.parametrize("name", WITH_RAY)
def test_the_trainer_is_never_why_a_worker_has_nothing_to_do(name: str) -> None:
    release = rendered(name)
    assert _runs(release) >= WAVES * _places(release)


@pytest.mark.parametrize("name", WITH_RAY)
def test_all_runs_that_the_trainer_may_have_fit_into_its_memory_and_the_head_s(name: str) -> None:
    release = rendered(name)
    head = release.get("RayCluster", "trainer-ray")["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert HEAD_MIB + _runs(release) * RUN_ON_HEAD_MIB <= _mib(head["resources"]["limits"]["memory"])
    pod = _trainer(release)["spec"]["template"]["spec"]["containers"][0]
    slots = release.settings("trainer")["slots"]
    assert SERVER_MIB + slots * RUN_FOLLOWED_MIB <= _mib(pod["resources"]["limits"]["memory"])


def test_values_set_how_many_workers_of_each_group_there_are_and_when_they_go() -> None:
    values = example("gpu")
    values["ray"]["bundled"] |= {"idleTimeoutSeconds": 30}
    values["ray"]["bundled"]["trainer"]["gpu"] |= {"minReplicas": 2, "maxReplicas": 50}
    values["ray"]["bundled"]["trainer"]["spot"] = {"gpus": 4, "maxReplicas": 7}
    spec = render(values).get("RayCluster", "trainer-ray")["spec"]
    assert spec["enableInTreeAutoscaling"] and spec["autoscalerOptions"]["idleTimeoutSeconds"] == 30
    groups = {group["groupName"]: (group["minReplicas"], group["maxReplicas"]) for group in spec["workerGroupSpecs"]}
    assert groups == {"gpu": (2, 50), "spot": (0, 7)}


def _runs(release: Rendered) -> int:
    """Runs that all replicas of the trainer follow at once."""
    return release.settings("trainer")["slots"] * _trainer(release)["spec"]["replicas"]


def _places(release: Rendered) -> int:
    """Runs that all workers hold at once, when every one is there."""
    needs = release.settings("trainer")
    groups = release.get("RayCluster", "trainer-ray")["spec"]["workerGroupSpecs"]
    return sum(group["maxReplicas"] * _held(group["template"]["spec"]["containers"][0], needs) for group in groups)


def _held(container: Object, needs: dict[str, Any]) -> int:
    limits = container["resources"]["limits"]
    if needs.get("num_gpus"):
        return int(limits.get("nvidia.com/gpu", 0)) // needs["num_gpus"]
    return int(limits["cpu"]) // needs["num_cpus"]


def _trainer(release: Rendered) -> Object:
    return release.get("Deployment", "trainer")


def _mib(memory: str) -> int:
    return int(memory.removesuffix("Gi")) * 1024 if memory.endswith("Gi") else int(memory.removesuffix("Mi"))
