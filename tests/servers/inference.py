"""Start the real embedded inference server, for tests."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.processes import Server, free_port


@contextmanager
def inference_server(folder: Path, models: Path | None = None) -> Iterator[Server]:
    """A server of its own process for the built-in models and those in `models`; its log goes to `folder`."""
    address = f"127.0.0.1:{free_port()}"
    command = [
        sys.executable,
        "-m",
        "kyara_inference.server",
        "--listen",
        address,
        "--reflection",
        "true",
        "--models",
        str(models or folder),
    ]
    server = Server(command, address, folder / "inference.log", {})
    try:
        server.start()
        yield server
    finally:
        server.stop()
