"""Whether a program answers, and whether its ports are free before it starts."""

import socket

from kyara_local.plan import HOST, Program
from kyara_rayjobs.head import head_is_ready
from kyara_rpc import is_serving


def is_ready(program: Program) -> bool:
    """Ask the program itself."""
    if program.speaks == "ray":
        return head_is_ready(f"http://{program.address}", f"http://{HOST}:{program.other_ports[-1]}", program.environment)
    service = "temporal.api.workflowservice.v1.WorkflowService" if program.name == "temporal" else ""
    return is_serving(program.address, service)


def taken_ports(programs: list[Program]) -> list[tuple[str, int]]:
    """Ports that somebody else listens on, each with the program that wants it."""
    wanted = [(program.name, port) for program in programs for port in (program.port, *program.other_ports)]
    return [(name, port) for name, port in wanted if not is_free(port)]


def is_free(port: int) -> bool:
    """Whether nobody listens on `port` of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
