"""Who may call: checks the token of each call, hands on who calls, and writes the audit log.

The audit log is one line, event `audit`, for each call that changes a job and for each that is refused: who, what, which
job, how it ended, from where. It holds no token and nothing of what was ordered, and no log level silences it.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import grpc
import structlog

from kyara_jobs.order import DEFAULT_TENANT
from kyara_rpc.tokens import BadToken, Identity, Role, Verifier

SERVICE = "kyara.jobs.v1.JobService"
NEEDS = {
    "GetJob": Role.READ,
    "ListJobs": Role.READ,
    "WatchJob": Role.READ,
    "ListRecipes": Role.READ,
    "DescribeRecipe": Role.READ,
    "CreateJob": Role.SUBMIT,
    "CancelJob": Role.SUBMIT,
    "RetryJob": Role.SUBMIT,
    "NameClusters": Role.SUBMIT,
    "ApproveLoras": Role.SUBMIT,
    "ForgetJob": Role.SUBMIT,
    "CollectGarbage": Role.ADMIN,
}
REFUSALS = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND"})
ANYBODY = Identity("anonymous", DEFAULT_TENANT, frozenset({Role.ADMIN}), math.inf)
"""Who calls where no key is set."""
LONGEST_SHOWN = 64
_CALLER: ContextVar[Identity] = ContextVar("caller")

Context = grpc.aio.ServicerContext[Any, Any]
Details = grpc.HandlerCallDetails


def caller() -> Identity:
    """Who made the call that is being answered."""
    return _CALLER.get()


class Access(grpc.aio.ServerInterceptor):
    """Stands before the JobService. Without a verifier everybody is an admin: for a laptop's loopback."""

    def __init__(self, verifier: Verifier | None) -> None:
        self._verifier = verifier
        logger = logging.getLogger("kyara.audit")
        logger.setLevel(logging.INFO)
        self._audit = structlog.wrap_logger(logger, wrapper_class=structlog.stdlib.BoundLogger)

    async def intercept_service(
        self, continuation: Callable[[Details], Awaitable[grpc.RpcMethodHandler | None]], handler_call_details: Details
    ) -> grpc.RpcMethodHandler | None:
        """Health and reflection are open; each method of the JobService is answered within `_admitted`."""
        handler = await continuation(handler_call_details)
        service, _, method = handler_call_details.method.lstrip("/").rpartition("/")
        if handler is None or service != SERVICE:
            return handler
        wires = handler.request_deserializer, handler.response_serializer
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._stream(method, handler.unary_stream), *wires)
        return grpc.unary_unary_rpc_method_handler(self._answer(method, handler.unary_unary), *wires)

    def _answer(self, method: str, answer: Any) -> Any:
        async def answered(request: Any, context: Context) -> Any:
            async with self._admitted(method, request, context) as line:
                response = await answer(request, context)
                if method == "CreateJob":
                    line["job"] = response.job.id
                return response

        return answered

    def _stream(self, method: str, stream: Any) -> Any:
        async def streamed(request: Any, context: Context) -> AsyncIterator[Any]:
            async with self._admitted(method, request, context):
                async for response in stream(request, context):
                    if time.time() > caller().expires:
                        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token has expired meanwhile; get a new one")
                    yield response

        return streamed

    @asynccontextmanager
    async def _admitted(self, method: str, request: Any, context: Context) -> AsyncIterator[dict[str, str]]:
        """Lets in who may. What the block adds to the line is in the audit log."""
        line = {"method": method, "job": getattr(request, "id", "")[:LONGEST_SHOWN], "peer": context.peer()}
        code = "OK"
        try:
            who = await self._who(context)
            line |= {"subject": who.subject, "tenant": who.tenant}
            _CALLER.set(who)
            if not who.may(NEEDS[method]):
                has = ", ".join(sorted(who.roles)) or "none that is known here"
                message = f"{method} needs the role {NEEDS[method]}; the token of {who.subject!r} has {has}"
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, message)
            yield line
        except (asyncio.CancelledError, GeneratorExit):
            code = "CANCELLED"
            raise
        except BaseException:
            set_by_us = context.code()  # a number, 0, where the program itself failed
            code = set_by_us.name if isinstance(set_by_us, grpc.StatusCode) else "UNKNOWN"
            raise
        finally:
            if NEEDS[method] is not Role.READ or code in REFUSALS:
                self._audit.info("audit", **line, code=code)

    async def _who(self, context: Context) -> Identity:
        if self._verifier is None:
            return ANYBODY
        sent = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
        scheme, _, token = str(sent[0]).partition(" ") if len(sent) == 1 else ("", "", "")
        try:
            if scheme.lower() != "bearer":
                raise BadToken("no token: one is needed here, as `authorization: Bearer TOKEN`")
            return self._verifier.identity_of(token)
        except BadToken as error:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
            raise AssertionError("abort raises") from error
