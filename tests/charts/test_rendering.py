"""The chart as a whole: it lints, every example renders, it says what is missing, and what is generated is fresh."""

import subprocess
import sys
from pathlib import Path

import helm_python
import pytest

from charts.generate import generated
from kyara_inference.catalogue import catalogue
from tests.charts.rendering import CHART, EXAMPLES, ROOT, example, render, rendered

LONGEST_RAYCLUSTER = 47
"""KubeRay's own limit, since it adds to the name."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_lints_without_a_warning(name: str) -> None:
    report = helm_python.lint(CHART, example(name), strict=True, namespace="anime")
    assert report["total_charts_linted"] == 1 and not report["errors"]
    # Information only: the chart has no icon.
    assert [each for each in report["messages"] if each["severity"] > 1] == []


def test_the_chart_lints_by_itself() -> None:
    report = helm_python.lint(CHART, strict=True)
    assert not report["errors"] and not [each for each in report["messages"] if each["severity"] > 1]


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_two_objects_of_a_release_are_one(name: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered(name).objects]
    assert len(names) == len(set(names)) > 50


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "existingSecret: name a Secret with AWS_ACCESS_KEY_ID"),
        ({"temporal": {"bundled": {"enabled": False}}}, "temporal.address: say where it is, or set temporal.bundled.enabled"),
        ({"temporal": {"address": "t.temporal.svc:7233"}}, "temporal.address and temporal.bundled.enabled are both set"),
        ({"tls": {"enabled": True}}, "name a Secret in tls.existingSecret, or an issuer in tls.certManager.issuerRef.name"),
        (
            {"store": {"address": "s3://kyara?endpoint=https://s3.example.com", "bundled": {"enabled": False}}},
            "store.egress: s3.example.com is outside the cluster",
        ),
    ],
)
def test_what_is_missing_is_said(values: dict, said: str) -> None:
    given = example("bundled") if values else {}
    for key, value in values.items():
        given[key] = {**given.get(key, {}), **value}
    with pytest.raises(helm_python.HelmError, match=said):
        render(given)


def test_the_schema_the_tables_and_the_closed_addresses_are_fresh() -> None:
    stale = [path.name for path, text in generated().items() if path.read_text() != text]
    assert not stale, "run `make chart`"


def test_a_stale_file_fails_the_check(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys, charts.generate as g; g.CHART = g.Path(sys.argv.pop()); g.main()", "--check"]
    helm_python.Chart.load(CHART).save_dir(tmp_path)
    (tmp_path / "kyara" / "README.md").write_text((CHART / "README.md").read_text())
    assert subprocess.run([*command, str(tmp_path / "kyara")], cwd=ROOT, check=False).returncode == 0
    with (tmp_path / "kyara" / "values.yaml").open("a") as file:
        file.write("# A value nobody has heard of.\nunheardOf: 1\n")
    done = subprocess.run([*command, str(tmp_path / "kyara")], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 1 and "values.schema.json" in done.stderr and "make chart" in done.stderr


def test_the_package_holds_what_templates_read_and_no_examples(tmp_path: Path) -> None:
    with helm_python.Chart.load(helm_python.package(CHART, destination=tmp_path)) as chart:
        names = {each["name"] for each in chart.files}
        assert {"files/not-public.json", "files/miniature_job.py", "README.md"} <= names
        assert not any(name.startswith("values/") for name in names)
        assert chart.schema


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_name_models_of_the_catalogue(name: str) -> None:
    asked = example(name).get("models", {}).get("names", [])
    assert set(asked) <= set(catalogue())


@pytest.mark.parametrize(
    ("release", "name"),
    [("kyara", "kyara"), ("demo", "demo-kyara"), ("a-name-that-goes-on-for-longer-than-most", "a-name-that-goes-on-for-longer")],
)
def test_objects_are_named_after_the_release_and_kyara_once(release: str, name: str) -> None:
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(example("bundled"), name=release, namespace="anime")
    assert f"name: {name}-jobs\n" in files["kyara/templates/services.yaml"]
    assert f"name: {name}-evaluator-ray\n" in files["kyara/templates/ray.yaml"]
    assert len(f"{name}-evaluator-ray") <= LONGEST_RAYCLUSTER
