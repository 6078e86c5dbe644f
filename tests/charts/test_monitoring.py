"""The dashboard and the alerts ask for metrics that services really give, by labels that these really have."""

import importlib
import json
import re
from collections.abc import Iterator

import pytest
from prometheus_client.metrics import MetricWrapperBase

from tests.charts.rendering import CHART, rendered

MODULES = ("kyara_rpc.metrics", "kyara_stage.metrics", "kyara_jobs.metrics")
# Not the services' own: of Prometheus, and of a histogram's buckets.
NOT_OURS = {"up", "le", "namespace", "service"}
_FUNCTIONS = {"sum", "by", "rate", "increase", "histogram_quantile", "topk"}


def metrics() -> dict[str, set[str]]:
    """Every series that Kyara's code declares, and its labels."""
    found: dict[str, set[str]] = {}
    for module in map(importlib.import_module, MODULES):
        for each in vars(module).values():
            if isinstance(each, MetricWrapperBase):
                for described in each.describe():
                    suffixes = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}.get(described.type, ("",))
                    found |= {described.name + suffix: {*each._labelnames, "le"} for suffix in suffixes}
    return found


def expressions() -> Iterator[str]:
    for panel in json.loads((CHART / "dashboards" / "kyara.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    (rules,) = rendered("external").of("PrometheusRule")
    yield from (rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"])


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_asks_for_what_there_is(expression: str) -> None:
    known = metrics()
    bare = re.sub(r'"[^"]*"|\[[^]]*\]', "", expression)
    names = set(re.findall(r"[a-z_]{2,}", bare)) - _FUNCTIONS
    asked = {name for name in names if name.startswith("kyara_")}
    assert asked <= known.keys()
    labels = set().union(*(known[name] for name in asked)) if asked else set()
    assert names - asked - NOT_OURS <= labels


def test_every_metric_is_looked_at_somewhere() -> None:
    asked = " ".join(expressions())
    seen = {name for name in metrics() if name in asked}
    families = {re.sub("_(bucket|count|sum|total)$", "", name) for name in metrics()}
    assert families - {re.sub("_(bucket|count|sum|total)$", "", name) for name in seen} == {"kyara_jobs_created"}


def test_dashboard_and_alerts_come_with_metrics_alone() -> None:
    assert not rendered("bundled").of("PrometheusRule")
    boards = [each for each in rendered("external").of("ConfigMap") if "grafana_dashboard" in each["metadata"]["labels"]]
    assert json.loads(boards[0]["data"]["kyara.json"])["title"] == "Kyara"
