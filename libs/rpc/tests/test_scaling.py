"""Servers behind one name: a client that was there before them finds those that come later, and no call is cut for it."""

import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kyara_rpc.channel import _CLIENT_OPTIONS
from tests.servers.processes import Server, free_port

BELL = [sys.executable, str(Path(__file__).with_name("bell.py"))]
AGE_MS = 1000
PATIENCE_S = 20


class Names:
    """A name server that answers any name with `addresses`, as Kubernetes answers a headless Service's with its pods'."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    def serve(self) -> None:
        """Answer until an empty question comes."""
        while True:
            asked, client = self._socket.recvfrom(512)
            if not asked:
                return
            question = asked[12 : asked.index(b"\0", 12) + 5]
            wants_ipv4 = question[-4:-2] == b"\0\1"
            records = [_record(each) for each in self.addresses if wants_ipv4]
            head = asked[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, len(records), 0, 0)
            self._socket.sendto(head + question + b"".join(records), client)

    def close(self) -> None:
        """Have `serve` end."""
        self._socket.sendto(b"", ("127.0.0.1", self.port))


def _record(address: str) -> bytes:
    return b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(address)


@pytest.fixture
def names() -> Iterator[Names]:
    server = Names()
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server
    server.close()
    thread.join(5)


@contextmanager
def bell(folder: Path, address: str) -> Iterator[Server]:
    """A server whose connections end after a second."""
    environment = {"KYARA_BELL_LISTEN": address, "BELL_CONNECTION_AGE_MS": str(AGE_MS)}
    server = Server(BELL, address, folder / f"{address}.log", environment)
    server.start()
    yield server
    server.stop()


def test_a_server_that_comes_later_gets_calls_of_clients_that_were_there(tmp_path: Path, names: Names) -> None:
    port = free_port()
    names.addresses = ["127.0.0.1"]
    with bell(tmp_path, f"127.0.0.1:{port}") as first, bell(tmp_path, f"127.0.0.2:{port}") as second:
        # gRPC asks a name server again after 30 s at the soonest; a test does not wait for that either.
        options = [*_CLIENT_OPTIONS, ("grpc.dns_min_time_between_resolutions_ms", 100)]
        with grpc.insecure_channel(f"dns://127.0.0.1:{names.port}/bell.test:{port}", options=options) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)  # without types
            long_call = stub.Watch(health_pb2.HealthCheckRequest())
            assert next(long_call).status == health_pb2.HealthCheckResponse.SERVING
            assert _clients(first) and not _clients(second)
            names.addresses.append("127.0.0.2")
            give_up = time.monotonic() + PATIENCE_S
            while not _clients(second):
                assert time.monotonic() < give_up, "the second server never got a client"
                stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
                time.sleep(0.02)
            assert long_call.is_active(), "a running call outlives its connection's age"
            long_call.cancel()


def _clients(server: Server) -> int:
    """Connections that a server has."""
    return sum(each.status == psutil.CONN_ESTABLISHED for each in psutil.Process(server.pid).net_connections("tcp"))
