"""Asking a server whether it serves: `python -m kyara_rpc.health HOST:PORT` ends with 0 when it does, else with 1."""

import sys

import grpc
from grpc_health.v1 import health_pb2


def is_serving(address: str, service: str = "", seconds: float = 2.0) -> bool:
    """Whether the server at `host:port` says so, for itself or for one of its services."""
    with grpc.insecure_channel(address) as channel:
        # The package's own stub carries no types.
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=seconds)
        except grpc.RpcError:
            return False
    return answer.status == health_pb2.HealthCheckResponse.SERVING


if __name__ == "__main__":
    sys.exit(not is_serving(sys.argv[1]))
