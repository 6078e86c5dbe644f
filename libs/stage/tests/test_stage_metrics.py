"""What a real stage server tells Prometheus of its attempts."""

import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from kyara.keyframer.v1.keyframer_pb2 import KeyframeParams
from kyara.stage.v1.stage_pb2 import Action, RunRequest
from kyara.stage.v1.stage_pb2_grpc import StageServiceStub
from kyara_rpc import connect_sync
from kyara_stage.metrics import MOST_KINDS, reason_kind
from tests.servers.processes import free_port, stage_server

PROBE = [
    "-c",
    "from kyara_stage import serve; from probe_stage import ProbeSettings; serve('probe', ProbeSettings, 'probe_stage')",
]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[StageServiceStub, str]]:
    """A stage's client, and the address of its metrics."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    (tmp_path / "witness").mkdir()
    listen = f"127.0.0.1:{free_port()}"
    settings = {"witness": str(tmp_path / "witness"), "metrics_listen": listen}
    started = stage_server(PROBE, "probe", f"file://{tmp_path}/store", tmp_path, settings)
    with started as server, connect_sync(server.address) as channel:
        yield StageServiceStub(channel), f"http://{listen}/metrics"


def test_attempts_items_rejects_and_cache_hits_are_counted(page: tuple[StageServiceStub, str]) -> None:
    stub, address = page
    for _ in range(2):
        list(stub.Run(RunRequest(action=probe(max_height=3, black_luma=4))))
    list(stub.Run(RunRequest(action=probe(black_luma=1))))
    with pytest.raises(grpc.RpcError):
        list(stub.Run(RunRequest(action=probe(black_luma=2))))
    told = numbers(address)
    assert told['kyara_stage_run_seconds_count{operation="probe",outcome="OK"}'] == 1
    assert told['kyara_stage_run_seconds_count{operation="probe",outcome="INVALID_ARGUMENT"}'] == 1
    assert told['kyara_stage_run_seconds_count{operation="probe",outcome="LOST"}'] == 1
    assert told['kyara_stage_cached_total{operation="probe"}'] == 1
    assert told['kyara_stage_items_total{operation="probe",unit="steps"}'] == 3
    assert told['kyara_stage_rejected_total{operation="probe",reason_kind="it is bad"}'] == 1
    assert told['kyara_stage_running{operation="probe"}'] == 0
    calls = 'kyara_grpc_call_seconds_count{code="%s",method="/kyara.stage.v1.StageService/Run"}'
    assert told[calls % "OK"] == 3 and told[calls % "ABORTED"] == 1


def test_reasons_that_differ_only_in_their_numbers_and_names_are_of_one_kind() -> None:
    assert reason_kind("quality is 0.31, at least 0.5 is wanted: blur") == "quality is"
    assert reason_kind("12345 bytes are more than 100") == "other"
    assert reason_kind("nearly the same as frame-3.png") == reason_kind("nearly the same as other.png") == "nearly the same"


def test_a_stage_cannot_fill_prometheus_with_reasons() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    kinds = {reason_kind(f"{a}{b} is bad") for a in letters for b in letters}
    assert len(kinds) <= MOST_KINDS + 1 and "other" in kinds


def probe(**params: float) -> Action:
    made = Action(stage="probe")
    made.params.Pack(KeyframeParams(**params))  # type: ignore[arg-type]
    return made


def numbers(address: str) -> dict[str, float]:
    """Every sample of a page of metrics."""
    text = httpx.get(address, trust_env=False).raise_for_status().text
    return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)}
