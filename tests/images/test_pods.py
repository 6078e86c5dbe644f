"""Pods of the chart, on the images, under podman: they serve, they are nobody's root, and jobs pass through them.

What is not under test runs as `kyara up` on this machine: Temporal, the other stages, Ray; the store is a real S3 server.
Pods share the machine's network, so each is told a port of its own; what else they are told is what the chart renders.
"""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from kyara_local.plan import STAGES
from kyara_miniature.episode import make_episode
from kyara_miniature.pictures import make_pictures
from kyara_rpc import is_serving
from tests.charts.rendering import FULLNAME, Rendered, render
from tests.images.conftest import SERVICES, run
from tests.servers.kyara import Kyara, kyara_up, wait_for
from tests.servers.processes import free_port
from tests.servers.s3 import S3Server, s3_server

PICTURES = "/pictures"
QUICK = ("--recipe", "miniature-quick", "--publish")


@dataclass(frozen=True)
class Pods:
    """Pods that serve, and the Kyara that they stand in."""

    kyara: Kyara
    ports: dict[str, int]

    def ended(self, *arguments: str) -> dict[str, Any]:
        """A job given to the jobs pod, once it has ended."""
        asked = Kyara(self.kyara.state, self.kyara.store_url)
        asked.address = f"127.0.0.1:{self.ports['jobs']}"
        return asked.ended(asked.submit(*arguments), 900)

    def log(self, service: str) -> str:
        """What the service's container wrote."""
        return run("sh", "-c", f"podman logs {container(service)} 2>&1")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server, pytest.MonkeyPatch.context() as environment:
        for name, value in server.environment.items():
            environment.setenv(name, value)
        yield server


@pytest.fixture(scope="module")
def pods(images: dict[str, str], s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    assert images.keys() == set(SERVICES)
    folder = tmp_path_factory.mktemp("pods")
    make_pictures(folder / "pictures", 21, count=24)
    with kyara_up(folder / "state", s3.url("kyara")) as kyara:
        ports = {service: free_port() for service in SERVICES}
        with playing(manifests(s3, kyara, ports, folder / "pictures"), s3, folder):
            for service in SERVICES:
                wait_for(lambda service=service: is_serving(f"127.0.0.1:{ports[service]}"), 60)
            yield Pods(kyara, ports)


def test_an_episode_passes_through_the_pods_of_jobs_and_keyframer(pods: Pods, tmp_path: Path) -> None:
    make_episode(tmp_path / "episode.mkv", 11, seconds=40, main=2, width=960, height=540)
    options = ("--name", "short", "--max-characters", "1", *QUICK, str(tmp_path / "out"))
    job = pods.ended("video", str(tmp_path / "episode.mkv"), *options)
    assert job["state"] == "JOB_STATE_SUCCEEDED", job.get("error")
    assert next(stage for stage in job["stages"] if stage["stage"] == "keyframer")["outputs"]["frames"]
    assert job["id"] in pods.log("jobs") and job["id"] in pods.log("keyframer")


def test_a_character_passes_through_the_pods_of_jobs_and_crawler(pods: Pods, tmp_path: Path) -> None:
    job = pods.ended("character", PICTURES, "--name", "hana", *QUICK, str(tmp_path / "out"))
    assert job["state"] == "JOB_STATE_SUCCEEDED", job.get("error")
    assert job["id"] in pods.log("jobs") and job["id"] in pods.log("crawler")


@pytest.mark.usefixtures("pods")
@pytest.mark.parametrize("service", SERVICES)
def test_a_container_is_not_root_and_can_write_nothing_but_tmp(service: str) -> None:
    def inside(script: str) -> str:
        return run("podman", "exec", container(service), "sh", "-c", script).strip()

    assert inside("id -u") == "1000"
    assert inside("for d in / /opt/kyara /etc; do touch $d/x 2>/dev/null && echo $d; done; touch /tmp/x && echo tmp") == "tmp"
    assert inside("grep CapEff /proc/self/status").split()[-1] == "0" * 16


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_says_what_it_is_and_is_not_roots(images: dict[str, str], service: str) -> None:
    (image,) = json.loads(run("podman", "image", "inspect", images[service]))
    assert image["Config"]["User"] == "1000:1000"
    assert image["Labels"]["org.opencontainers.image.title"] == f"kyara-{service}"


def test_an_image_run_alone_serves_and_tells_its_own_health(images: dict[str, str]) -> None:
    name = "kyara-alone"
    # `serve` and `healthy` are what the Dockerfile's ENTRYPOINT and HEALTHCHECK run.
    options = ("--read-only", "--cap-drop=all", "--network=none", "--name", name)
    run("podman", "run", "-d", *options, images["crawler"], "--store=file:///tmp/store")
    try:
        wait_for(lambda: not subprocess.run(["podman", "exec", name, "healthy"], check=False).returncode, 60)
    finally:
        run("podman", "rm", "-f", name)


def manifests(s3: S3Server, kyara: Kyara, ports: dict[str, int], pictures: Path) -> list[dict[str, Any]]:
    """What the chart renders for SERVICES, with a port of its own for each."""
    stages = {stage: f"127.0.0.1:{kyara.base_port + 10 + number}" for number, stage in enumerate(STAGES)}
    stages |= {service: f"127.0.0.1:{ports[service]}" for service in SERVICES if service != "jobs"}
    release = render(
        {
            "image": {"registry": "localhost", "pullPolicy": "Never"},
            "store": {"address": s3.url("kyara"), "existingSecret": "kyara-s3", "egress": [{}]},
            "temporal": {"address": f"127.0.0.1:{kyara.base_port + 1}", "egress": [{}]},
            "inference": {"address": f"127.0.0.1:{kyara.base_port + 3}", "egress": [{}]},
            "ray": {"address": f"http://127.0.0.1:{kyara.base_port + 4}", "egress": [{}]},
        }
    )
    return [each for service in SERVICES for each in _of(release, service, ports[service], stages, pictures)]


def _of(release: Rendered, service: str, port: int, stages: dict[str, str], pictures: Path) -> Iterator[dict[str, Any]]:
    settings, deployment = release.get("ConfigMap", service), release.get("Deployment", service)
    told = release.settings(service) | {"listen": f"127.0.0.1:{port}"} | ({"stages": stages} if service == "jobs" else {})
    settings["data"]["settings.yaml"] = yaml.safe_dump(told)
    pod = deployment["spec"]["template"]["spec"]
    del pod["containers"][0]["ports"]
    if service == "crawler":
        pod["volumes"].append({"name": "pictures", "hostPath": {"path": str(pictures)}})
        pod["containers"][0]["volumeMounts"].append({"name": "pictures", "mountPath": PICTURES, "readOnly": True})
    yield from (settings, deployment)


@contextmanager
def playing(objects: list[dict[str, Any]], s3: S3Server, folder: Path) -> Iterator[None]:
    """The objects under podman, with the store's keys, for the length of the block."""
    file = folder / "pods.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    # `kube play` of a Secret keeps it in a form that this podman's own pods cannot read.
    keys = {name: base64.b64encode(value.encode()).decode() for name, value in s3.environment.items()}
    run("podman", "secret", "create", "kyara-s3", "-", given=json.dumps(keys))
    try:
        run("podman", "kube", "play", "--network=host", str(file))
        yield
    finally:
        run("podman", "kube", "down", str(file))
        run("podman", "secret", "rm", "kyara-s3")


def container(service: str) -> str:
    """The name that podman gives a service's container."""
    return f"{FULLNAME}-{service}-pod-0-{service}"
