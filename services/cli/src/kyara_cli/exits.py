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
    NO_ROOM = 11
    """The store is full, or the tenant's quota is used up."""
    NOT_ALLOWED = 12
    """The token is missing, not taken, or does not allow it."""


_BY_CODE = {
    "INVALID_ARGUMENT": Exit.INVALID,
    "ALREADY_EXISTS": Exit.INVALID,
    "NOT_FOUND": Exit.NOT_FOUND,
    "FAILED_PRECONDITION": Exit.CANNOT_BE_DONE,
    "RESOURCE_EXHAUSTED": Exit.NO_ROOM,
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
        said = error.details() or ""
        if "CERTIFICATE_VERIFY_FAILED" in said:
            return CommandError(Exit.UNREACHABLE, f"{address} shows a certificate that is not of the CA in KYARA_CA; name its CA")
        if "Socket closed" in said or "WRONG_VERSION_NUMBER" in said:
            message = f"{address} hung up: set KYARA_CA when it speaks TLS, and do not when it speaks none"
            return CommandError(Exit.UNREACHABLE, message)
        if "does not answer" in said:  # Kyara's own words about its engine, or its store
            return CommandError(Exit.UNREACHABLE, f"{address}: {said}")
        return CommandError(Exit.UNREACHABLE, f"no Kyara answers at {address}; start one with `kyara up`, or give --address")
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        hint = "show one with KYARA_TOKEN or KYARA_TOKEN_FILE"
        return CommandError(Exit.NOT_ALLOWED, f"{address}: {error.details()} ({hint})")
    if error.code() is grpc.StatusCode.PERMISSION_DENIED:
        return CommandError(Exit.NOT_ALLOWED, error.details() or "not allowed")
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
