"""Prometheus metrics: the page that gives them, and those of every gRPC call that a server answers."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import contextmanager
from typing import Any

import grpc
from prometheus_client import Histogram, start_http_server

CALL_BUCKETS_S = (0.005, 0.025, 0.1, 0.5, 2, 10, 60, 600, 3600)
CALLS = Histogram("kyara_grpc_call_seconds", "Calls answered, and how long they took", ["method", "code"], buckets=CALL_BUCKETS_S)


def serve_metrics(listen: str) -> None:
    """Give this process's metrics at http://host:port/metrics. Raises RuntimeError when the port is taken."""
    host, _, port = listen.rpartition(":")
    try:
        start_http_server(int(port), addr=host.strip("[]"))
    except OSError as error:
        raise RuntimeError(f"metrics cannot be served at {listen}: {error}; is metrics_listen free?") from error


class MeasuredCalls(grpc.aio.ServerInterceptor):
    """Measures every call that gives one answer or a stream of them."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """The method's handler, measured."""
        handler: Any = await continuation(handler_call_details)
        method = str(handler_call_details.method)
        # A caller may ask for any name, and each would become a series: only those that are served are counted. Health and
        # reflection say nothing of Kyara's work.
        if handler is None or handler.request_streaming or method.startswith("/grpc."):
            return handler
        given = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if not handler.response_streaming:

            async def answer(request: Any, context: Any) -> Any:
                with _measured(method, context):
                    return await handler.unary_unary(request, context)

            return grpc.unary_unary_rpc_method_handler(answer, **given)

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            with _measured(method, context):
                async for each in handler.unary_stream(request, context):
                    yield each

        return grpc.unary_stream_rpc_method_handler(stream, **given)


@contextmanager
def _measured(method: str, context: Any) -> Any:
    began, code = time.monotonic(), "OK"
    try:
        yield
    except grpc.aio.AbortError:
        code = _name(context.code())
        raise
    except GeneratorExit:
        code = "CANCELLED"
        raise
    except BaseException as error:
        code = "UNKNOWN" if isinstance(error, Exception) else "CANCELLED"
        raise
    finally:
        CALLS.labels(method, code).observe(time.monotonic() - began)


def _name(code: Any) -> str:
    """A status code's name; the server keeps it as its number."""
    number = code.value[0] if isinstance(code, grpc.StatusCode) else code
    return next((each.name for each in grpc.StatusCode if each.value[0] == number), "UNKNOWN")
