"""What each service's image holds: what its pyproject leads to, and none of the heavy packages that it has no use for."""

import importlib.metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
HEAVY = {
    "torch",
    "ray",
    "diffusers",
    "peft",
    "transformers",
    "tokenizers",
    "onnxruntime",
    "temporalio",
    "av",
    "libtorrent",
    "hdbscan",
    "scikit-learn",
}
HOLDS = {
    "cli": {"onnxruntime"},
    "clusterer": {"av", "hdbscan", "scikit-learn"},
    "crawler": {"av"},
    "curator": {"av"},
    "detector": set(),
    "embedder": set(),
    "evaluator": {"av", "torch", "ray", "diffusers", "peft", "transformers", "tokenizers", "scikit-learn"},
    "fetcher": {"libtorrent"},
    "jobs": {"temporalio"},
    "keyframer": {"av"},
    "publisher": set(),
    "trainer": {"torch", "ray", "diffusers", "peft", "transformers", "tokenizers"},
}
"""Of HEAVY. `local`, which is every service on one machine, has no image."""


def closure(package: str) -> set[str]:
    """A package and all that it needs, by the metadata of what is installed here: what pip would put into an image."""
    found: set[str] = set()
    todo = [Requirement(package)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        wanted = todo.pop()
        key = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if key in seen:
            continue
        seen.add(key)
        found.add(key[0])
        needs = map(Requirement, importlib.metadata.requires(wanted.name) or ())
        todo += [need for need in needs if _is_wanted(need, wanted.extras)]
    return found


def _is_wanted(need: Requirement, extras: set[str]) -> bool:
    return need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ["", *extras])


def test_every_service_with_a_server_has_its_row() -> None:
    services = {path.parent.name for path in (ROOT / "services").glob("*/pyproject.toml")}
    assert services - {"local"} == HOLDS.keys()


@pytest.mark.parametrize("service", HOLDS)
def test_an_image_holds_no_heavy_package_that_its_service_has_no_use_for(service: str) -> None:
    assert closure(f"kyara-{service}") & HEAVY == HOLDS[service]


@pytest.mark.parametrize("service", HOLDS)
def test_an_image_holds_no_other_service(service: str) -> None:
    others = {f"kyara-{other}" for other in {*HOLDS, "local"} - {service}}
    assert not closure(f"kyara-{service}") & others
