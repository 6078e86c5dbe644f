"""How work fails, in one form: Temporal's ApplicationError, whose `type` is the name of a gRPC code."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

T = TypeVar("T")

BAD_INPUT = frozenset({"INVALID_ARGUMENT", "FAILED_PRECONDITION"})
"""Codes of work whose input is at fault: another input of the same job may still be good."""


def failure(code: str, message: str) -> ApplicationError:
    """A failure that ends the work, with the message that the user reads."""
    return ApplicationError(message, type=code, non_retryable=True)


def failure_of(error: BaseException) -> ApplicationError:
    """What lies under Temporal's wrappings of `error`."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ApplicationError):
            return failure(cause.type or "INTERNAL", cause.message)
        cause = cause.__cause__
    return failure("UNAVAILABLE", f"no worker saw the work through ({error})")


async def each(work: Iterable[Coroutine[Any, Any, T]]) -> list[T | ApplicationError]:
    """All of `work` side by side, to the end of the last; what failed stands as its failure.

    A cancellation goes on, and so does an error of the program itself.
    """
    ends = await asyncio.gather(*work, return_exceptions=True)
    return [_end(end) for end in ends]


def _end(end: T | BaseException) -> T | ApplicationError:
    if not isinstance(end, BaseException):
        return end
    if isinstance(end, FailureError) and not is_cancelled_exception(end):
        return failure_of(end)
    raise end


def good_ones(ends: Iterable[T | ApplicationError]) -> list[T]:
    """The results among `ends`, when only bad input failed. Raises the failure when all failed, or one for another reason."""
    ends = list(ends)
    good = [end for end in ends if not isinstance(end, ApplicationError)]
    for end in ends:
        if isinstance(end, ApplicationError) and (not good or end.type not in BAD_INPUT):
            raise end
    return good
