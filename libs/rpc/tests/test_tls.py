"""With TLS a server lets in whoever has a certificate of Kyara's CA, and nobody else; health alone is there without."""

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from kyara_rpc import Tls, connect_sync, is_loopback, is_serving
from libs.rpc.tests.test_server import BELL, SERVICE
from tests.servers.certificates import Authority, tls_settings
from tests.servers.processes import Server, free_port


@dataclass
class Secured:
    """A server with TLS, and what its certificate is of."""

    process: Server
    address: str
    authority: Authority
    tls: Tls


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    authority = Authority(tmp_path / "ca")
    tls = authority.identity("bell")
    address, probe = (f"127.0.0.1:{free_port()}" for _ in range(2))
    settings = {"listen": address, "probe_listen": probe, "reflection": "true", **tls_settings(tls)}
    environment = {f"KYARA_BELL_{name.upper()}": value for name, value in settings.items()}
    process = Server(BELL, probe, tmp_path / "bell.log", environment)
    process.start()
    yield Secured(process, address, authority, tls)
    process.stop()


def answers(address: str, credentials: grpc.ChannelCredentials | None) -> bool:
    """Whether a call with these credentials is answered; the only other end is that no connection comes about."""
    with connect_sync(address, credentials) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=10)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
            return False
    return True


def test_a_service_is_let_in_and_whoever_has_no_certificate_of_the_ca_is_not(secured: Secured, tmp_path: Path) -> None:
    assert answers(secured.address, secured.authority.identity("caller").channel_credentials())
    assert not answers(secured.address, None), "plain"
    only_trusts = grpc.ssl_channel_credentials(secured.authority.ca.read_bytes())
    assert not answers(secured.address, only_trusts), "without a certificate of its own"
    foreign = Authority(tmp_path / "other").identity("caller")
    stranger = Tls(foreign.cert, foreign.key, secured.authority.ca)
    assert not answers(secured.address, stranger.channel_credentials()), "with another CA's certificate"


def test_a_caller_does_not_speak_to_a_server_of_another_ca(secured: Secured, tmp_path: Path) -> None:
    own = secured.authority.identity("caller")
    fooled = Tls(own.cert, own.key, Authority(tmp_path / "other").ca)
    assert not answers(secured.address, fooled.channel_credentials())


def test_a_renewed_certificate_is_shown_without_a_restart(secured: Secured) -> None:
    before = shown(secured)
    renewed = secured.authority.identity("bell").cert.read_text()
    assert shown(secured) != before
    assert shown(secured) in renewed
    assert answers(secured.address, secured.authority.identity("caller").channel_credentials())


def test_a_renewal_that_went_wrong_leaves_the_last_certificate(secured: Secured) -> None:
    before = shown(secured)
    secured.tls.cert.write_text("half a fi")
    assert shown(secured) == before
    secured.authority.identity("bell")
    assert shown(secured) != before


def test_the_probe_port_answers_health_and_nothing_else(secured: Secured) -> None:
    assert is_serving(secured.process.address, SERVICE)
    with connect_sync(secured.process.address) as channel, pytest.raises(grpc.RpcError) as caught:
        ProtoReflectionDescriptorDatabase(channel).get_services()
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]


def test_who_connects_and_says_nothing_is_hung_up_on_and_hinders_nobody(secured: Secured) -> None:
    host, port = secured.address.split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(200)]
    began = time.monotonic()
    assert answers(secured.address, secured.authority.identity("caller").channel_credentials())
    assert time.monotonic() - began < 5
    silent[0].settimeout(30)
    assert silent[0].recv(1) == b"", "the server hangs up"
    assert time.monotonic() - began < 25
    for each in silent:
        each.close()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["tls_cert"], "belong together"),
        (["tls_cert", "tls_key"], "belong together"),
        (["tls_cert", "tls_key", "tls_ca"], "nowhere.pem cannot be read"),
    ],
)
def test_tls_that_is_not_whole_ends_the_start_with_a_sentence(names: list[str], words: str) -> None:
    environment = {f"KYARA_BELL_{name.upper()}": "/nowhere.pem" for name in names}
    done = subprocess.run(BELL, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("kyara:1", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(address: str, own: bool) -> None:
    assert is_loopback(address) is own


def shown(secured: Secured) -> str:
    """The certificate that the server shows a service, as PEM."""
    context = ssl.create_default_context(cafile=str(secured.authority.ca))
    own = secured.authority.identity("looks")
    context.load_cert_chain(own.cert, own.key)
    context.set_alpn_protocols(["h2"])
    host, port = secured.address.split(":")
    with socket.create_connection((host, int(port)), 10) as plain, context.wrap_socket(plain, server_hostname=host) as secure:
        der = secure.getpeercert(binary_form=True)
    assert der
    return ssl.DER_cert_to_PEM_cert(der).strip()
