"""What runs on the laptop: each program with its command line, environment and address."""

import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal

from kyara_local.settings import LocalSettings
from kyara_rayjobs.head import LONGEST_FOLDER, HeadPorts, head_command, ray_environment

HOST = "127.0.0.1"
STAGES = (
    "crawler",
    "fetcher",
    "keyframer",
    "detector",
    "curator",
    "embedder",
    "clusterer",
    "trainer",
    "evaluator",
    "publisher",
)
_USE_INFERENCE = {"detector", "curator", "embedder", "clusterer", "evaluator"}
_USE_RAY = {"trainer", "evaluator"}
RUNS_AT_ONCE = 2
"""Trainings that share the processors: two small ones side by side end sooner than one after the other."""
# Stages that hold one core each; two episodes' key frames need not wait for each other's boxes.
_SLOTS = {"keyframer": 2, "publisher": 4, "fetcher": 4, "crawler": 4}


@dataclass(frozen=True)
class Program:
    """One process to keep alive."""

    name: str
    command: list[str]
    port: int
    speaks: Literal["grpc", "ray"]
    """How it says that it is ready."""
    environment: dict[str, str] = field(default_factory=dict)
    other_ports: tuple[int, ...] = ()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{HOST}:{self.port}"


def programs(settings: LocalSettings) -> list[Program]:
    """Everything that `kyara up` starts, in order: what is needed first comes first."""
    state = settings.state.resolve()
    store = settings.store or f"file://{state}/store"
    port = settings.base_port
    temporal = _temporal(state, port + 1)
    models = [] if settings.inference else [_python("inference", "kyara_inference.server", port + 3)]
    inference = settings.inference or models[0].address
    ray = _ray(settings, state, port + 4)
    stages = [_stage(room, port + 10 + number, store, inference, ray, state, settings) for number, room in enumerate(STAGES)]
    jobs = _python(
        "jobs",
        "kyara_jobs",
        port,
        temporal=temporal.address,
        store=store,
        traces=settings.traces,
        stages="{" + ",".join(f'"{stage.name}":"{stage.address}"' for stage in stages) + "}",
    )
    return [temporal, ray, *models, *stages, jobs]


def _temporal(state: Path, port: int) -> Program:
    command = [
        str(Path(sys.executable).parent / "temporal"),
        *("server", "start-dev", "--headless", "--ip", HOST, "--port", str(port), "--http-port", str(port + 1)),
        *("--db-filename", str(state / "temporal.db"), "--log-level", "warn"),
    ]
    return Program("temporal", command, port, "grpc", other_ports=(port + 1,))


def _ray(settings: LocalSettings, state: Path, port: int) -> Program:
    ports = HeadPorts(head=port + 1, dashboard=port, client=port + 2, agent=port + 3)
    command = head_command(ports, _ray_folder(state), settings.cpus, settings.gpus)
    environment = ray_environment(state / "ray-token")
    return Program("ray", command, port, "ray", environment, other_ports=(port + 1, port + 2, port + 3))


def _ray_folder(state: Path) -> Path:
    """Ray's sockets need a short path, which the state's need not be."""
    folder = state / "ray"
    return folder if len(str(folder)) <= LONGEST_FOLDER else Path(f"/tmp/kyara-ray-{sha256(str(state).encode()).hexdigest()[:8]}")


def _stage(room: str, port: int, store: str, inference: str, ray: Program, state: Path, settings: LocalSettings) -> Program:
    values = {"store": store, "traces": settings.traces}
    if room in _SLOTS:
        values["slots"] = str(_SLOTS[room])
    if room in _USE_INFERENCE:
        values["inference"] = inference
    if room == "fetcher":
        values |= {"work_dir": str(state / "fetcher"), "allow_private_peers": str(settings.private_peers).lower()}
    if room == "crawler":
        values |= {"rates": str(state / "rates"), "allow_private": str(settings.private_peers).lower()}
    environment: dict[str, str] = {}
    if room in _USE_RAY:
        values["ray"] = f"http://{ray.address}"
        values["threads"] = str(max(1, settings.cpus // RUNS_AT_ONCE))
        environment = ray.environment
    if room == "trainer":
        values |= {"num_cpus": values["threads"], "num_gpus": str(min(1, settings.gpus))}
    return _python(room, f"kyara_{room}", port, environment, **values)


def _python(name: str, module: str, port: int, environment: dict[str, str] | None = None, **values: str) -> Program:
    prefix = f"KYARA_{name.upper()}_"
    settings = {
        f"{prefix}{key.upper()}": value for key, value in {"listen": f"{HOST}:{port}", "reflection": "true", **values}.items()
    }
    return Program(name, [sys.executable, "-m", module], port, "grpc", {**(environment or {}), **settings})
