"""Images of three services, built on a base that is made here: no registry is asked."""

import os
import resource
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BASE = "localhost/kyara-base:bookworm"
SERVICES = ("jobs", "keyframer", "crawler")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
PROGRAMS = ("podman", "buildah", "debootstrap", "runc")
DEBIAN = ("python3.11", "python3.11-venv", "python3-distutils", "ca-certificates")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(2400))


@pytest.fixture(scope="session", autouse=True)
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Podman as it runs without systemd and within this process's limits."""
    limits = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    ulimits = [f"{name}={min(30000, resource.getrlimit(number)[1])}" for name, number in limits.items()]
    ulimits = [f"{each}:{each.partition('=')[2]}" for each in ulimits]
    file = tmp_path_factory.mktemp("podman") / "containers.conf"
    file.write_text(f'[containers]\ndefault_ulimits = {ulimits}\n[engine]\ncgroup_manager = "cgroupfs"\nruntime = "runc"\n')
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CONTAINERS_CONF", str(file))
        yield


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Debian with Python, and this machine's trust; kept by podman for the next run."""
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        pytest.skip(f"needs root and {', '.join(missing)}: apt install podman buildah runc debootstrap")
    if subprocess.run(["podman", "image", "exists", BASE], check=False).returncode:
        root = tmp_path_factory.mktemp("base") / "root"
        run("debootstrap", "--variant=minbase", f"--include={','.join(DEBIAN)}", "bookworm", str(root))
        shutil.copyfile(ssl.get_default_verify_paths().cafile or CERTIFICATES, root / CERTIFICATES.lstrip("/"))
        shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as packed:
            subprocess.run(["podman", "import", "-q", "-", BASE], stdin=packed.stdout, check=True)
    return BASE


@pytest.fixture(scope="session")
def images(base: str) -> Iterator[dict[str, str]]:
    """The image of each of SERVICES, by `make images`."""
    build = f"--isolation=chroot --format=docker --build-arg BASE={base} --build-arg PIP_CERT={CERTIFICATES}"
    run("make", "images", "CONTAINER=buildah", f"IMAGES={' '.join(SERVICES)}", f"BUILD={build}")
    version = yaml.safe_load((ROOT / "charts/kyara/Chart.yaml").read_text())["appVersion"]
    yield {service: f"localhost/kyara-{service}:{version}" for service in SERVICES}


def run(*command: str, given: str | None = None) -> str:
    """What a command says. Ends the test with its words when it fails."""
    done = subprocess.run(command, cwd=ROOT, env=os.environ, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout
