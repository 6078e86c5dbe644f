"""OpenTelemetry traces: where spans go, and how a trace walks from one process into the next.

Without an address nothing is recorded and nothing is sent: OpenTelemetry's own default is to do nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import grpc
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.grpc import aio_server_interceptor, filters
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

FLUSH_MS = 5_000


def configure_traces(service: str, address: str) -> None:
    """Send this process's spans to the OTLP collector at `address` (http://host:4317); empty sends none."""
    if not address or traces_are_sent():
        return
    provider = TracerProvider(resource=Resource.create({"service.name": f"kyara-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))
    trace.set_tracer_provider(provider)


def traces_are_sent() -> bool:
    """Whether this process records spans."""
    return isinstance(trace.get_tracer_provider(), TracerProvider)


def carried_trace() -> dict[str, str]:
    """The present trace as the headers of W3C Trace Context, for another process; empty when there is none."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


@contextmanager
def span_of(name: str, carrier: Mapping[str, str], **attributes: str) -> Iterator[None]:
    """A span for the block, under the one that `carrier` brought; it is sent when the block ends, as a process may end then."""
    with trace.get_tracer("kyara").start_as_current_span(name, propagate.extract(carrier), attributes=attributes):
        yield
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush(FLUSH_MS)


def server_interceptors() -> list[grpc.aio.ServerInterceptor]:
    """What makes a span of each call that a server answers, health checks excepted."""
    return [aio_server_interceptor(filter_=filters.negate(filters.health_check()))] if traces_are_sent() else []
