"""What a stage's server promises, whatever its stage does."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from kyara.fetcher.v1.fetcher_pb2 import FetchParams
from kyara.keyframer.v1.keyframer_pb2 import KeyframeParams
from kyara.stage.v1.stage_pb2 import Action, CancelRequest, DescribeRequest, Result, RunRequest, RunResponse
from kyara.stage.v1.stage_pb2_grpc import StageServiceStub
from kyara_artifacts import get_json, open_store
from kyara_rpc import connect_sync
from tests.servers.certificates import Authority, tls_settings
from tests.servers.processes import Server, free_port, stage_server

PROBE = [
    "-c",
    "from kyara_stage import serve; from probe_stage import ProbeSettings; serve('probe', ProbeSettings, 'probe_stage')",
]


@pytest.fixture(autouse=True)
def probe_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/store"


@pytest.fixture
def witness(tmp_path: Path) -> Path:
    (tmp_path / "witness").mkdir()
    return tmp_path / "witness"


@pytest.fixture
def server(tmp_path: Path, store_url: str, witness: Path) -> Iterator[Server]:
    settings = {"witness": str(witness), "grace_s": "3", "slots": "2", "password": "open-sesame", "cards": "2"}
    with stage_server(PROBE, "probe", store_url, tmp_path, settings) as started:
        yield started


@pytest.fixture
def stub(server: Server) -> Iterator[StageServiceStub]:
    with connect_sync(server.address) as channel:
        yield StageServiceStub(channel)


def action(stage: str = "probe", **params: float) -> Action:
    made = Action(stage=stage)
    made.params.Pack(KeyframeParams(**params))  # type: ignore[arg-type]
    return made


def result_of(events: Iterator[RunResponse]) -> Result:
    *_, last = events
    return last.result


def runs(witness: Path, what: str = "run") -> int:
    return len(list(witness.glob(f"{what}-*")))


def run(stub: StageServiceStub, wanted: Action) -> Result:
    return result_of(stub.Run(RunRequest(action=wanted)))


def child_of(server: Server) -> int:
    """The pid of the one child of `server`."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    assert len(children) == 1
    return int(children[0])


def wait_for(condition, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        threading.Event().wait(0.05)


def test_same_action_is_answered_from_its_result(stub: StageServiceStub, witness: Path) -> None:
    first = run(stub, action(max_height=2))
    again = run(stub, action(max_height=2))
    assert not first.cached
    assert again.cached
    assert again.outputs["count"] == first.outputs["count"]
    assert runs(witness) == 1


def test_salt_disowns_a_result(stub: StageServiceStub, witness: Path) -> None:
    run(stub, action(max_height=1))
    salted = action(max_height=1)
    salted.salt = "again"
    assert not run(stub, salted).cached
    assert runs(witness) == 2


def test_work_that_reads_the_world_is_done_each_time(stub: StageServiceStub, witness: Path) -> None:
    for _ in range(2):
        assert not run(stub, action("probe.world", max_height=1)).cached
    assert runs(witness) == 2


def test_second_caller_joins_the_running_action(stub: StageServiceStub, witness: Path) -> None:
    slow = action(max_height=4, min_gap_s=0.4)
    first = stub.Run(RunRequest(action=slow))
    assert not next(first).accepted.joined
    second = stub.Run(RunRequest(action=slow))
    assert next(second).accepted.joined
    assert result_of(first).outputs == result_of(second).outputs
    assert runs(witness) == 1


def test_progress_and_checkpoints_come_in_order(stub: StageServiceStub) -> None:
    events = list(stub.Run(RunRequest(action=action(max_height=3, min_gap_s=0.4))))
    assert [event.seq for event in events] == sorted(event.seq for event in events)
    assert any(event.HasField("checkpoint") for event in events)
    assert events[-1].HasField("result")


def test_rejected_items_are_listed_and_counted(stub: StageServiceStub, store_url: str) -> None:
    result = run(stub, action(max_height=1, black_luma=4))
    assert result.rejected == 1
    assert get_json(open_store(store_url), result.outputs["rejected"]) == [{"item": "one", "reason": "it is bad"}]


def test_wrong_input_is_a_result_with_its_message_and_is_not_kept(stub: StageServiceStub, witness: Path) -> None:
    for _ in range(2):
        result = run(stub, action(black_luma=1))
        assert result.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert result.status.message == "this input is wrong"
    assert runs(witness) == 2


def test_killed_child_is_no_result(stub: StageServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        run(stub, action(black_luma=2))
    assert caught.value.code() == grpc.StatusCode.ABORTED


def test_killed_child_goes_on_from_its_checkpoint(stub: StageServiceStub, server: Server, witness: Path) -> None:
    slow = action(max_height=6, min_gap_s=0.5)
    events = stub.Run(RunRequest(action=slow))
    next(event for event in events if event.HasField("checkpoint"))
    os.kill(child_of(server), signal.SIGKILL)
    with pytest.raises(grpc.RpcError):
        result_of(events)
    assert run(stub, slow).outputs
    assert runs(witness, "step0") == 1


def test_killed_server_takes_its_child_along_and_the_next_goes_on(stub: StageServiceStub, server: Server, witness: Path) -> None:
    slow = action(max_height=6, min_gap_s=0.5)
    events = stub.Run(RunRequest(action=slow))
    next(event for event in events if event.HasField("checkpoint"))
    child = child_of(server)
    server.kill()
    wait_for(lambda: not Path(f"/proc/{child}").exists())
    server.start()
    with connect_sync(server.address) as channel:
        assert run(StageServiceStub(channel), slow).outputs
    assert runs(witness, "step0") == 1


def test_work_outlives_a_lost_caller_within_the_grace(stub: StageServiceStub, witness: Path) -> None:
    slow = action(max_height=4, min_gap_s=0.5)
    lost = stub.Run(RunRequest(action=slow))
    next(lost)
    lost.cancel()
    assert run(stub, slow).outputs
    assert runs(witness) == 1


def test_work_that_nobody_waits_for_is_stopped_after_the_grace(stub: StageServiceStub, server: Server) -> None:
    lost = stub.Run(RunRequest(action=action(max_height=1000, min_gap_s=0.5)))
    next(event for event in lost if event.HasField("checkpoint"))
    child = child_of(server)
    lost.cancel()
    wait_for(lambda: not Path(f"/proc/{child}").exists())


def test_cancel_stops_the_work_and_tells_the_caller(stub: StageServiceStub, server: Server) -> None:
    events = stub.Run(RunRequest(action=action(max_height=1000, min_gap_s=0.2)))
    sha256 = next(events).accepted.action_sha256
    next(event for event in events if event.HasField("checkpoint"))
    child = child_of(server)
    for _ in range(2):  # idempotent
        stub.Cancel(CancelRequest(action_sha256=sha256))
    with pytest.raises(grpc.RpcError) as caught:
        result_of(events)
    assert caught.value.code() == grpc.StatusCode.CANCELLED
    assert not Path(f"/proc/{child}").exists()


def test_full_server_says_when_to_come_back(stub: StageServiceStub) -> None:
    running = [stub.Run(RunRequest(action=action(max_height=100 + n, min_gap_s=0.2))) for n in range(2)]
    for each in running:
        next(each)
    with pytest.raises(grpc.RpcError) as caught:
        run(stub, action(max_height=200))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "grpc-status-details-bin" in [each.key for each in caught.value.trailing_metadata() or ()]


def test_heartbeats_come_while_the_work_holds_its_interpreter(stub: StageServiceStub) -> None:
    events = list(stub.Run(RunRequest(action=action(max_height=1, min_gap_s=12, black_luma=3)), timeout=60))
    times = [event.time.ToMicroseconds() / 1e6 for event in events if event.HasField("progress")]
    assert len(times) >= 2


def test_a_model_that_is_not_here_is_said_before_anything_runs_with_the_settings_folder(
    stub: StageServiceStub, witness: Path
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        run(stub, action(black_luma=6))
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == f"the model is not in {witness}"
    assert not list(witness.iterdir())


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Action(stage="nonsense"), "no stage 'nonsense'"),
        (Action(stage="probe", stage_version=9), "version 3"),
        (Action(stage="probe"), "takes kyara.keyframer.v1.KeyframeParams"),
    ],
)
def test_senseless_action_is_refused_with_what_is_wrong(stub: StageServiceStub, wanted: Action, said: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        run(stub, wanted)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert said in str(caught.value.details())


def test_params_of_another_stage_are_refused(stub: StageServiceStub) -> None:
    wrong = Action(stage="probe")
    wrong.params.Pack(FetchParams())
    with pytest.raises(grpc.RpcError) as caught:
        run(stub, wrong)
    assert "FetchParams" in str(caught.value.details())


def test_server_describes_itself(stub: StageServiceStub) -> None:
    operations = {each.stage: each.stage_version for each in stub.Describe(DescribeRequest()).operations}
    assert operations == {"probe": 3, "probe.world": 1}


def test_a_port_in_use_is_said(server: Server, tmp_path: Path, store_url: str, witness: Path) -> None:
    settings = {"witness": str(witness), "listen": server.address}
    with pytest.raises(RuntimeError), stage_server(PROBE, "probe", store_url, tmp_path, settings):
        pass
    assert "cannot start" in (tmp_path / "probe.log").read_text()


def test_logs_carry_the_ids_of_job_stage_and_attempt(stub: StageServiceStub, server: Server) -> None:
    request = RunRequest(action=action(max_height=1))
    request.caller.job, request.caller.attempt = "job-7", "2"
    result_of(stub.Run(request))
    assert '"job": "job-7"' in server.log()


def test_work_gets_the_secrets_among_the_settings_and_the_log_does_not(
    stub: StageServiceStub, server: Server, witness: Path
) -> None:
    assert run(stub, action(black_luma=5)).outputs
    assert runs(witness, "open-sesame") == 1
    assert "open-sesame" not in server.log()


def test_a_result_says_which_graphics_cards_were_held(stub: StageServiceStub) -> None:
    assert run(stub, action(max_height=1)).gpus == 2


def test_calls_without_the_service_identity_are_refused(tmp_path: Path, store_url: str, witness: Path) -> None:
    authority = Authority(tmp_path / "ca")
    listen, probe = (f"127.0.0.1:{free_port()}" for _ in range(2))
    settings = {"witness": str(witness), "listen": listen, "probe_listen": probe, **tls_settings(authority.identity("probe"))}
    strangers = (None, grpc.ssl_channel_credentials(authority.ca.read_bytes()))
    request = RunRequest(action=action(max_height=1))
    with stage_server(PROBE, "probe", store_url, tmp_path, settings):
        with connect_sync(listen, authority.identity("jobs").channel_credentials()) as channel:
            assert result_of(StageServiceStub(channel).Run(request)).outputs
        for credentials in strangers:
            with connect_sync(listen, credentials) as channel, pytest.raises(grpc.RpcError) as caught:
                result_of(StageServiceStub(channel).Run(request))
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
        with connect_sync(probe) as channel, pytest.raises(grpc.RpcError) as caught:
            result_of(StageServiceStub(channel).Run(request))
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED, "the probe's port knows no stage"  # type: ignore[attr-defined]
    assert runs(witness) == 1


def test_heartbeat_is_shorter_than_the_contract_allows() -> None:
    from kyara_stage.attempt import HEARTBEAT_S

    assert HEARTBEAT_S <= 15
