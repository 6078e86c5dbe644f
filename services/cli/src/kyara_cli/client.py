"""The JobService, with its errors told as a command's."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara_cli.exits import from_rpc
from kyara_rpc import connect_sync

CALL_WITHIN_S = 30.0


@contextmanager
def jobs_at(address: str) -> Iterator[JobServiceStub]:
    """The JobService at `address`. Raises CommandError for whatever a call in the block raises."""
    with connect_sync(address) as channel:
        try:
            yield JobServiceStub(channel)
        except grpc.RpcError as error:
            raise from_rpc(error, address) from error
