"""What the chart tells a service is what the service takes, and every address in it leads to pods of the release."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, SecretStr

from charts.generate import CHART, SET_BY_CHART, config_schema, settings_class, settings_of
from kyara_rpc import ServiceSettings, load_settings, settings_config
from tests.charts.rendering import EXAMPLES, FULLNAME, ROOT, Rendered, example, render, rendered

SERVICES = sorted(yaml.safe_load((CHART / "values.yaml").read_text())["services"])


def test_the_chart_runs_every_service_there_is() -> None:
    # `local` starts the others on one machine.
    assert set(SERVICES) == {path.parts[-4] for path in ROOT.glob("services/*/src/*/settings.py")} - {"local"}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_service_takes_its_settings(name: str, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(rendered(name), service, tmp_path, monkeypatch)
    assert settings.listen == "[::]:7400"


def test_a_config_goes_before_what_the_chart_says_and_every_number_arrives_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"s3_endpoint": "https://s3.example.com", "keep_unfinished_days": 0.5, "slots": 3}
    values = example("bundled") | {
        "defaults": {"config": {"log_level": "debug"}},
        "services": {"fetcher": {"config": config}, "crawler": {"config": {"max_file_bytes": 123456789}}},
    }
    release = render(values)
    fetcher = loaded(release, "fetcher", tmp_path, monkeypatch).model_dump()
    assert config.items() <= fetcher.items() and fetcher["log_level"] == "debug"
    assert loaded(release, "crawler", tmp_path, monkeypatch).model_dump()["max_file_bytes"] == 123456789


def test_variables_that_kubernetes_makes_up_would_stop_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why no pod gets them: a Service of a release called kyara is named kyara-jobs."""
    monkeypatch.setenv("KYARA_JOBS_SERVICE_HOST", "10.96.0.7")
    with pytest.raises(SystemExit):
        loaded(rendered("bundled"), "jobs", tmp_path, monkeypatch)


class _Limits(BaseModel):
    most: int = Field(default=1, ge=1)
    password: SecretStr = SecretStr("")


class _NestedSettings(ServiceSettings):
    model_config = settings_config("nested")

    limits: _Limits = _Limits()


def test_settings_within_settings_are_checked_too_and_hide_their_secrets() -> None:
    schema, definitions = config_schema(_NestedSettings)
    validator = Draft202012Validator({**schema, "$defs": definitions})
    assert validator.is_valid({"limits": {"most": 2}, "log_level": "debug"})
    for wrong in ({"most": 0}, {"mosst": 2}, {"password": "secret"}):
        assert not validator.is_valid({"limits": wrong})


def test_only_what_the_chart_sets_is_closed_to_a_config() -> None:
    told = set().union(*(rendered(name).settings(service) for name in EXAMPLES for service in SERVICES))
    offered = set().union(*map(settings_of, SERVICES))
    assert told <= SET_BY_CHART | offered
    assert told >= SET_BY_CHART and not SET_BY_CHART & offered


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_address_inside_leads_to_pods_that_listen_there(name: str) -> None:
    release = rendered(name)
    inside = [each for service in SERVICES for each in _addresses(release.settings(service)) if FULLNAME in each]
    assert len(set(inside)) >= len(SERVICES) - 1
    for host, port in (each.rsplit(":", 1) for each in set(inside)):
        if host.endswith("-head-svc"):  # which KubeRay makes
            assert release.get("RayCluster", host.removeprefix(f"{FULLNAME}-").removesuffix("-head-svc"))
            continue
        service = release.get("Service", host.removeprefix(f"{FULLNAME}-"))["spec"]
        (target,) = (each["targetPort"] for each in service["ports"] if each["port"] == int(port))
        pods = [pod for pod in release.pods() if service["selector"].items() <= pod.labels.items()]
        assert len(pods) == 1
        assert {"name": target, "containerPort": int(port)} in pods[0].spec["containers"][0]["ports"]


def test_the_fetcher_reads_sources_from_the_stores_server() -> None:
    settings = rendered("external").settings("fetcher")
    assert settings["s3_endpoint"] == "https://s3.eu-central-1.amazonaws.com" and settings["s3_region"] == "eu-central-1"


def test_tenants_share_no_queue() -> None:
    queue = rendered("multi-tenant").settings("jobs")["task_queue"]
    assert "anime" in queue and FULLNAME in queue


def test_the_token_of_a_ray_cluster_is_where_its_caller_looks() -> None:
    for name, secret in (("bundled", f"{FULLNAME}-trainer-ray"), ("external", "ray-token")):
        (pod,) = (pod for pod in rendered(name).pods() if pod.component == "trainer")
        (token,) = (each for each in pod.spec["containers"][0]["env"] if each["name"] == "RAY_AUTH_TOKEN")
        assert token["valueFrom"]["secretKeyRef"] == {"name": secret, "key": "auth_token"}


def loaded(release: Rendered, service: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ServiceSettings:
    """The settings that a service's pod would have, in its environment. Ends the test when it would not start."""
    (pod,) = (pod for pod in release.pods() if pod.component == service)
    file = folder / "settings.yaml"
    file.write_text(release.get("ConfigMap", service)["data"]["settings.yaml"])
    for variable in pod.spec["containers"][0]["env"]:
        monkeypatch.setenv(variable["name"], variable.get("value", "from a Secret"))
    monkeypatch.setenv("KYARA_CONFIG", str(file))
    return load_settings(settings_class(service), [])


def _addresses(settings: dict) -> list[str]:
    """Each host:port in a service's settings."""
    named = [settings.get(key, "") for key in ("temporal", "inference")] + [*settings.get("stages", {}).values()]
    urls = [settings.get("ray", ""), *parse_qs(urlsplit(settings["store"]).query).get("endpoint", [])]
    return [each for each in named + [urlsplit(url).netloc for url in urls] if each]
