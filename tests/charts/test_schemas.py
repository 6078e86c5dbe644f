"""Every object of every example is one that two versions of Kubernetes, and KubeRay, take: no field is unknown or misshapen."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.charts.rendering import EXAMPLES, ROOT, rendered

VERSIONS = ("1.27.0", "1.37.0")
CRDS = ROOT.parent / "shared" / "crds"
CUSTOM = {"RayCluster", "ServiceMonitor", "PrometheusRule", "Certificate"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_kubernetes_takes_every_object(name: str, version: str) -> None:
    for each in rendered(name).objects:
        if each["kind"] not in CUSTOM:
            assert not _errors(json.dumps(each), version), f"{each['kind']} {each['metadata']['name']}"


def test_a_misspelt_field_is_no_kubernetes_object() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"selectors": {}}}
    for version in VERSIONS:
        assert "selectors" in _errors(json.dumps(service), version)[0]


@pytest.mark.parametrize("name", EXAMPLES)
def test_kuberay_takes_every_cluster(name: str) -> None:
    for each in rendered(name).of("RayCluster"):
        errors = [f"{error.json_path}: {error.message}" for error in _kuberay().iter_errors(each)]
        assert not errors, f"{each['metadata']['name']}: {errors}"


def test_a_misspelt_field_is_no_raycluster() -> None:
    cluster = json.loads(json.dumps(rendered("bundled").of("RayCluster")[0]))
    cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    assert not _kuberay().is_valid(cluster)


@cache
def _errors(text: str, version: str) -> list[str]:
    """What Kubernetes finds wrong in an object; examples have many in common."""
    each = json.loads(text)
    group, _, number = each["apiVersion"].rpartition("/")
    prefix = f"{group.split('.')[0]}-" if group else ""
    validator = _validator(f"{each['kind'].lower()}-{prefix}{number}.json", version)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(each)]


@cache
def _validator(file: str, version: str) -> Draft202012Validator:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    return Draft202012Validator(json.loads((folder / file).read_text()), registry=_definitions(version))


@cache
def _definitions(version: str) -> Registry:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    resource = Resource.from_contents(json.loads((folder / "_definitions.json").read_text()))
    return Registry().with_resource("_definitions.json", resource).crawl()


@cache
def _kuberay() -> Draft202012Validator:
    path = CRDS / "rayclusters.yaml"
    if not path.exists():
        pytest.skip("KubeRay's CRDs are not in ../shared/crds")
    crd = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    (version,) = (each for each in crd["spec"]["versions"] if each["name"] == "v1")
    return Draft202012Validator(_closed(version["schema"]["openAPIV3Schema"]))


def _closed(schema: Any) -> Any:
    """The schema, where a field that it does not name is an error instead of being left out silently."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    open_ = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not open_:
        closed["additionalProperties"] = False
    return closed
