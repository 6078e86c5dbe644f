"""How the work of a stage fails, and what that means to the workflow."""

import grpc
from google.rpc import status_pb2

from kyara_artifacts import StoreError, StoreFull


class StageError(Exception):
    """The work failed in a way that its user should read. Its message says what, where and what to do."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code

    @classmethod
    def invalid(cls, message: str) -> "StageError":
        """The input is wrong; trying again does not help."""
        return cls(grpc.StatusCode.INVALID_ARGUMENT, message)

    @classmethod
    def precondition(cls, message: str) -> "StageError":
        """The input is right, but the work cannot be done with it; trying again does not help."""
        return cls(grpc.StatusCode.FAILED_PRECONDITION, message)

    @classmethod
    def unavailable(cls, message: str) -> "StageError":
        """Something that the work needs is away; another attempt may find it."""
        return cls(grpc.StatusCode.UNAVAILABLE, message)


def status_of(error: BaseException) -> status_pb2.Status:
    """The status that a result carries for `error`."""
    match error:
        case StageError():
            return _status(error.code, str(error))
        case StoreFull():
            # Without RetryInfo: waiting makes no room.
            return _status(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        case StoreError():
            return _status(grpc.StatusCode.UNAVAILABLE, str(error))
        case _:
            return _status(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")


def _status(code: grpc.StatusCode, message: str) -> status_pb2.Status:
    number: int = code.value[0]
    return status_pb2.Status(code=number, message=message)
