"""The chart as Helm renders it, in this process."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "kyara"
EXAMPLES = {path.stem: path for path in sorted((CHART / "values").glob("*.yaml"))}
RELEASE, NAMESPACE = "demo", "anime"
FULLNAME = f"{RELEASE}-kyara"
PASSING = ("test", "models", "gc")
"""Components whose pods do something and go."""

Object = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod, or what pods are made from."""

    owner: str
    labels: dict[str, str]
    spec: Object

    @property
    def component(self) -> str:
        """What part of Kyara it is."""
        return self.labels["app.kubernetes.io/component"]

    @property
    def containers(self) -> list[Object]:
        """All of them, those that run first included."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


@dataclass(frozen=True)
class Rendered:
    """A release's objects."""

    objects: list[Object]

    def of(self, kind: str) -> list[Object]:
        """Its objects of a kind."""
        return [each for each in self.objects if each["kind"] == kind]

    def get(self, kind: str, name: str) -> Object:
        """The one of that name, which is `FULLNAME-{name}`. Raises StopIteration."""
        return next(each for each in self.of(kind) if each["metadata"]["name"] == f"{FULLNAME}-{name}")

    def pods(self) -> Iterator[Pod]:
        """Every pod that may come to be."""
        for each in self.objects:
            name = f"{each['kind']} {each['metadata']['name']}"
            if each["kind"] == "Pod":
                yield Pod(name, each["metadata"]["labels"], each["spec"])
            elif each["kind"] in ("Deployment", "StatefulSet", "Job", "CronJob"):
                template = each["spec"].get("jobTemplate", each)["spec"]["template"]
                yield Pod(name, template["metadata"]["labels"], template["spec"])
            elif each["kind"] == "RayCluster":
                for group in [each["spec"]["headGroupSpec"], *each["spec"]["workerGroupSpecs"]]:
                    template = group["template"]
                    yield Pod(f"{name} {group.get('groupName', 'head')}", template["metadata"]["labels"], template["spec"])

    def settings(self, service: str) -> Object:
        """What a service's ConfigMap tells it."""
        return yaml.safe_load(self.get("ConfigMap", service)["data"]["settings.yaml"])


def example(name: str) -> dict[str, Any]:
    """The values of an example."""
    return yaml.safe_load(EXAMPLES[name].read_text())


@cache
def rendered(name: str) -> Rendered:
    """An example, rendered."""
    return render(example(name))


def render(values: dict[str, Any]) -> Rendered:
    """The release that `values` give. Raises HelmError."""
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(values, name=RELEASE, namespace=NAMESPACE)
    documents = [yaml.safe_load_all(text) for name, text in files.items() if not name.endswith("NOTES.txt")]
    return Rendered([each for document in documents for each in document if each])
