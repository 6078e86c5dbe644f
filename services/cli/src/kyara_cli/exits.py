"""Exit codes, one meaning each (listed in docs/errors.md), and the errors that end a command."""

from enum import IntEnum

import grpc

from kyara.jobs.v1.jobs_pb2 import Job, JobState


class Exit(IntEnum):
    """How a `kyara` command ended."""

    OK = 0
    UNEXPECTED = 1
    INVALID = 2
    """Wrong usage or wrong input."""
    PORT_IN_USE = 3
    DID_NOT_START = 4
    ALREADY_RUNNING = 5
    UNREACHABLE = 6
    """No Kyara answers at the address."""
    NOT_FOUND = 7
    CANNOT_BE_DONE = 8
    """The input is right, but the work cannot be done with it."""
    JOB_FAILED = 9
    CANCELLED = 10
    STORE_FULL = 11


_BY_CODE = {
    "INVALID_ARGUMENT": Exit.INVALID,
    "ALREADY_EXISTS": Exit.INVALID,
    "NOT_FOUND": Exit.NOT_FOUND,
    "FAILED_PRECONDITION": Exit.CANNOT_BE_DONE,
    "RESOURCE_EXHAUSTED": Exit.STORE_FULL,
    "UNAVAILABLE": Exit.UNREACHABLE,
    "CANCELLED": Exit.CANCELLED,
}


class CommandError(Exception):
    """Ends the command with a sentence and an exit code."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


def from_rpc(error: grpc.RpcError, address: str) -> CommandError:
    """What a failed call means to the user."""
    assert isinstance(error, grpc.Call)
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return CommandError(Exit.UNREACHABLE, f"no Kyara answers at {address}; start one with `kyara up`, or give --address")
    return CommandError(_BY_CODE.get(error.code().name, Exit.UNEXPECTED), error.details() or error.code().name)


def of_job(job: Job) -> Exit:
    """The exit code that tells how a job ended."""
    match job.state:
        case JobState.JOB_STATE_FAILED:
            code = _BY_CODE.get(job.error_code, Exit.JOB_FAILED)
            return Exit.JOB_FAILED if code is Exit.UNREACHABLE else code
        case JobState.JOB_STATE_CANCELLED:
            return Exit.CANCELLED
        case _:
            return Exit.OK
