"""A server of `kyara_rpc` says how it is, lists what it serves, logs in one form and stops cleanly."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from kyara_rpc import connect_sync, is_serving
from tests.servers.processes import Server, free_port, wait_until_serving

BELL = [sys.executable, str(Path(__file__).with_name("bell.py"))]
SERVICE = "kyara.bell.v1.BellService"


def bell(folder: Path, **settings: str) -> Server:
    address = f"127.0.0.1:{free_port()}"
    environment = {f"KYARA_BELL_{name.upper()}": value for name, value in {"listen": address, **settings}.items()}
    return Server(BELL, address, folder / "bell.log", environment)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = bell(tmp_path_factory.mktemp("bell"), log_level="debug", reflection="true")
    started.start()
    yield started
    started.stop()


def test_it_serves_as_a_whole_and_by_the_name_of_its_service(server: Server) -> None:
    assert is_serving(server.address)
    assert is_serving(server.address, SERVICE)
    assert not is_serving(server.address, "kyara.other.v1.OtherService")


def test_nobody_serves_where_nobody_listens() -> None:
    assert not is_serving(f"127.0.0.1:{free_port()}", seconds=1)


def test_reflection_asked_for_lists_what_it_serves(server: Server) -> None:
    with connect_sync(server.address) as channel:
        services = set(ProtoReflectionDescriptorDatabase(channel).get_services())
    assert services >= {SERVICE, "grpc.health.v1.Health"}


def test_logs_are_one_json_object_a_line_with_the_service_and_the_level(server: Server) -> None:
    lines = [json.loads(line) for line in server.log().splitlines()]
    serving = next(line for line in lines if line["event"] == "serving")
    assert serving["service"] == "bell"
    assert serving["level"] == "info"
    assert serving["services"] == [SERVICE]
    assert serving["port"] == int(server.address.split(":")[1])
    assert serving["timestamp"].endswith("Z")
    assert any(line["level"] == "debug" for line in lines)


def test_a_log_level_silences_what_lies_beneath(tmp_path: Path) -> None:
    quiet = bell(tmp_path, log_level="warning")
    quiet.start()
    assert quiet.log() == ""
    quiet.stop()


def test_reflection_is_off_unless_asked_for(tmp_path: Path) -> None:
    plain = bell(tmp_path)
    plain.start()
    with connect_sync(plain.address) as channel, pytest.raises(grpc.RpcError) as caught:
        ProtoReflectionDescriptorDatabase(channel).get_services()
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    plain.stop()


def test_a_port_in_use_ends_it_with_the_address(server: Server) -> None:
    environment = {**os.environ, "KYARA_BELL_LISTEN": server.address}
    second = subprocess.run(BELL, env=environment, capture_output=True, text=True, timeout=120)
    assert second.returncode == 1
    assert "bell cannot start" in second.stderr
    assert server.address in second.stderr
    assert is_serving(server.address)


def test_a_port_that_another_program_has_is_not_shared() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environment = {**os.environ, "KYARA_BELL_LISTEN": f"127.0.0.1:{taken.getsockname()[1]}"}
        assert subprocess.run(BELL, env=environment, capture_output=True, timeout=120).returncode == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_when_asked(tmp_path: Path, number: signal.Signals) -> None:
    stopped = bell(tmp_path)
    with (tmp_path / "bell.log").open("ab") as log:
        environment = {**os.environ, "KYARA_BELL_LISTEN": stopped.address}
        process = subprocess.Popen(BELL, env=environment, stdout=log, stderr=log)
    wait_until_serving(stopped.address, 180, process)
    process.send_signal(number)
    assert process.wait(60) == 0
    events = [json.loads(line)["event"] for line in stopped.log().splitlines()]
    assert events == ["serving", "stopping"]


def test_who_watches_its_health_is_told_that_it_stops(tmp_path: Path) -> None:
    watched = bell(tmp_path)
    watched.start()
    seen: list[int] = []
    first = threading.Event()

    def watch() -> None:
        with grpc.insecure_channel(watched.address) as channel:
            call = channel.unary_stream(
                "/grpc.health.v1.Health/Watch",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            try:
                for answer in call(health_pb2.HealthCheckRequest(service=SERVICE)):
                    seen.append(answer.status)
                    first.set()
            except grpc.RpcError:
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert first.wait(60)
    watched.stop()
    watcher.join(60)
    assert seen == [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]
