"""The JobService, with its errors told as a command's.

`KYARA_TOKEN`, or the file that `KYARA_TOKEN_FILE` names, is shown with every call. `KYARA_CA` names the PEM file of the
CA that the server's certificate must be of, or is the word `public` for those that everybody trusts; without it the
connection is plain, and then a token is only sent to this machine itself.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara_cli.exits import CommandError, Exit, from_rpc
from kyara_rpc import connect_sync, is_loopback

CALL_WITHIN_S = 30.0


@contextmanager
def jobs_at(address: str) -> Iterator[JobServiceStub]:
    """The JobService at `address`. Raises CommandError for whatever a call in the block raises."""
    credentials, token = _credentials(), _token()
    if token and not (credentials or is_loopback(address)):
        message = f"the token is not sent to {address} in the clear; set KYARA_CA (a PEM file, or `public`) to use TLS"
        raise CommandError(Exit.INVALID, message)
    with connect_sync(address, credentials) as channel:
        try:
            yield JobServiceStub(grpc.intercept_channel(channel, _Bearer(token)) if token else channel)
        except grpc.RpcError as error:
            raise from_rpc(error, address) from error


class _Bearer(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Shows the token with each call, over a plain connection too, where gRPC's own call credentials do not go."""

    def __init__(self, token: str) -> None:
        self._shown = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        return continuation(self._with_token(client_call_details), request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        return continuation(self._with_token(client_call_details), request)

    def _with_token(self, details: Any) -> Any:
        return details._replace(metadata=[*(details.metadata or ()), self._shown])


def _token() -> str:
    file = os.environ.get("KYARA_TOKEN_FILE", "")
    token = os.environ.get("KYARA_TOKEN", "") or (_read(Path(file), "KYARA_TOKEN_FILE").decode(errors="replace") if file else "")
    token = token.strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise CommandError(Exit.INVALID, "what KYARA_TOKEN or KYARA_TOKEN_FILE gives is no token; make one with `kyara token`")
    return token


def _credentials() -> grpc.ChannelCredentials | None:
    match os.environ.get("KYARA_CA", ""):
        case "":
            return None
        case "public":
            return grpc.ssl_channel_credentials()
        case file:
            return grpc.ssl_channel_credentials(_read(Path(file), "KYARA_CA"))


def _read(file: Path, named_by: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(Exit.INVALID, f"{file}, which {named_by} names, cannot be read: {error.strerror}") from error
