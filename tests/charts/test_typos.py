"""A typo in values fails with the key's name, and what a service would refuse is refused before anything is installed."""

from typing import Any

import helm_python
import pytest

from tests.charts.rendering import example, render

TYPOS = (
    ("imagee.tag=1", "imagee"),
    ("store.adress=s3://kyara", "adress"),
    ("temporal.bundled.enable=true", "enable"),
    ("networkPolicy.dsn[0].podSelector=x", "dsn"),
    ("ray.bundled.workers.minReplica=1", "minReplica"),
    ("ray.bundled.trainer.gpu.gpu=1", "gpu"),
    ("services.keyframe.replicas=2", "keyframe"),
    ("services.jobs.replica=2", "replica"),
    ("services.keyframer.config.thread=4", "thread"),
    ("services.trainer.config.num_gpu=1", "num_gpu"),
    ("services.detector.resources.limit.cpu=1", "limit"),
    ("defaults.autoscaling.targetCpu=50", "targetCpu"),
    ("defaults.config.threads=2", "threads"),
    ("priorityClasses.created=false", "created"),
)
WRONG = (
    ("services.jobs.replicas=two", "replicas"),
    ("services.keyframer.config.threads=0", "threads"),
    ("services.jobs.config.log_level=loud", "log_level"),
    ("image.pullPolicy=Sometimes", "pullPolicy"),
    ("temporal.address=https://temporal:7233", "address"),
    ("models.accessMode=ReadOnlyMany", "accessMode"),
)


@pytest.mark.parametrize(("typo", "key"), TYPOS)
def test_a_typo_fails_with_the_keys_name(typo: str, key: str) -> None:
    with pytest.raises(helm_python.HelmValuesError, match=f"additional properties '{key}' not allowed"):
        render(_with(typo))


@pytest.mark.parametrize(("setting", "key"), WRONG)
def test_a_value_that_cannot_be_fails_with_its_key(setting: str, key: str) -> None:
    with pytest.raises(helm_python.HelmValuesError, match=rf"at '/[\w/]*{key}'"):
        render(_with(setting))


@pytest.mark.parametrize("key", ["hub_token", "hub"])
def test_secrets_and_what_the_chart_sets_have_no_place_in_a_config(key: str) -> None:
    with pytest.raises(helm_python.HelmValuesError, match=f"additional properties '{key}' not allowed"):
        render(_with(f"services.publisher.config.{key}=x"))


def test_the_right_spelling_of_each_renders() -> None:
    right = (
        "image.tag=v1,store.egress[0].ports[0].port=443,ray.bundled.workers.minReplicas=1,ray.bundled.trainer.gpu.gpus=1,"
        "services.keyframer.replicas=2,services.jobs.replicas=2,services.keyframer.config.threads=4,defaults.config.log_level=debug,"
        "services.trainer.config.num_gpus=1,services.detector.resources.limits.cpu=1,defaults.autoscaling.targetCPU=50"
    )
    assert render(_with(right)).settings("keyframer")["threads"] == 4


def _with(setting: str) -> dict[str, Any]:
    """The quick start, with what `helm --set` would make of `setting`."""
    return _over(example("bundled"), helm_python.parse_set_string(setting))


def _over(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key: _over(base[key], value) if isinstance(base.get(key), dict) else value for key, value in over.items()}
    return base | both
