"""A small OpenTelemetry collector: it takes spans over OTLP/gRPC and keeps them, for tests."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True)
class Span:
    """A span that was sent."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    """Empty for a trace's first."""
    seconds: float
    begin_ns: int


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps all spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.address = ""

    def Export(self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext) -> object:
        """Take spans."""
        del context  # every call is taken
        for resource in request.resource_spans:
            service = next(each.value.string_value for each in resource.resource.attributes if each.key == "service.name")
            for scope in resource.scope_spans:
                for span in scope.spans:
                    seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
                    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                    self.spans.append(Span(service, span.name, *ids, seconds, span.start_time_unix_nano))
        return trace_service_pb2.ExportTraceServiceResponse()

    def tree(self, trace: str) -> str:
        """A trace's spans, each under its parent."""
        spans = sorted((span for span in self.spans if span.trace == trace), key=lambda span: span.begin_ns)
        known = {span.id for span in spans}

        def lines(parent: str, depth: int) -> Iterator[str]:
            for span in spans:
                if span.parent == parent or (not parent and span.parent not in known):
                    yield f"{'  ' * depth}{span.name} ({span.service}, {span.seconds:.2f} s)"
                    yield from lines(span.id, depth + 1)

        return "\n".join(lines("", 0))


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector for the length of the block."""
    kept = Collector()
    server = grpc.server(ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(kept, server)
    kept.address = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield kept
    finally:
        server.stop(1)
