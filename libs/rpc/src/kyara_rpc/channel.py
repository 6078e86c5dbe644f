"""Channels to Kyara's servers."""

import ipaddress
import json

import grpc

MAX_MESSAGE = 16 << 20
KEEPALIVE_MS = 20_000

# Round robin over all addresses behind a name: one connection would give one pod all the work.
_CLIENT_OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    # A server that was restarted is found again within a second or two.
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A new channel tries at once: shared connections would make it wait out, or fail with, another's backoff.
    ("grpc.use_local_subchannel_pool", 1),
]


def connect(address: str, credentials: grpc.ChannelCredentials | None = None) -> grpc.aio.Channel:
    """An asyncio channel to `host:port`: over TLS with `credentials`, plain without."""
    if credentials:
        return grpc.aio.secure_channel(address, credentials, options=_CLIENT_OPTIONS)
    return grpc.aio.insecure_channel(address, options=_CLIENT_OPTIONS)


def connect_sync(address: str, credentials: grpc.ChannelCredentials | None = None) -> grpc.Channel:
    """A blocking channel to `host:port`: over TLS with `credentials`, plain without."""
    if credentials:
        return grpc.secure_channel(address, credentials, options=_CLIENT_OPTIONS)
    return grpc.insecure_channel(address, options=_CLIENT_OPTIONS)


def is_loopback(address: str) -> bool:
    """Whether `host:port` names this machine only, so that nothing said there is heard elsewhere."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
