"""The server that every room's gRPC face runs in: health, reflection, a clean stop."""

import asyncio
import signal
from collections.abc import Callable, Sequence

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from kyara_rpc.channel import KEEPALIVE_MS, MAX_MESSAGE, is_loopback
from kyara_rpc.metrics import MeasuredCalls, serve_metrics
from kyara_rpc.settings import ServiceSettings
from kyara_rpc.tls import bind
from kyara_rpc.traces import server_interceptors

STOP_GRACE_S = 5.0
CONNECTION_AGE_MS = 60_000
"""How often a client connects anew, and so looks up again which servers are behind a name: one that came later would get no
call from a client that was there before. Calls that run are not touched."""
_SERVER_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    # Nobody holds the server up: not by saying nothing, by going away unseen, or by opening calls without end.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_concurrent_streams", 1_000),
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
    ("grpc.keepalive_permit_without_calls", 1),
    # Two servers on one port would share its calls unseen.
    ("grpc.so_reuseport", 0),
]

log = structlog.get_logger()


async def serve_until_stopped(
    settings: ServiceSettings,
    services: Sequence[str],
    add: Callable[[grpc.aio.Server], None],
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    services_only: bool = True,
) -> None:
    """Serve what `add` adds until SIGTERM or SIGINT, then finish what runs within a short grace.

    `services` are full names, for health and reflection. With TLS, `services_only` keeps out whoever has no certificate
    of Kyara's CA. Raises RuntimeError when the port is taken, ValueError when the TLS files do not do.
    """
    if settings.metrics_listen:
        serve_metrics(settings.metrics_listen)
    options = [*_SERVER_OPTIONS, ("grpc.max_connection_age_ms", CONNECTION_AGE_MS)]
    server = grpc.aio.server(options=options, interceptors=[MeasuredCalls(), *server_interceptors(), *interceptors])
    add(server)
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if settings.reflection:
        names = [*services, "grpc.health.v1.Health", reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, server)
    port = bind(server, settings.listen, settings.tls, services_only)
    if not (settings.tls or is_loopback(settings.listen)):
        log.warning("without TLS: whoever reaches this address can read and change what is said", listen=settings.listen)
    await server.start()
    probe = await _probe(settings.probe_listen, health) if settings.probe_listen else None
    for name in ["", *services]:
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)
    log.info("serving", port=port, services=list(services))
    await _stop_asked()
    log.info("stopping")
    await health.enter_graceful_shutdown()
    await server.stop(STOP_GRACE_S)
    if probe:
        await probe.stop(None)


async def _probe(listen: str, health: HealthServicer) -> grpc.aio.Server:
    """A plain server of the same health and of nothing else."""
    server = grpc.aio.server(options=_SERVER_OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    server.add_insecure_port(listen)
    await server.start()
    return server


async def _stop_asked() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
