"""Start the real Triton of the wheel nvidia-pytriton, which runs without a graphics card, for tests.

It lives in an environment of its own (`make test-triton` makes it), for its backend needs another NumPy. The wheel
ships the `python` backend alone, so `triton_backend/model.py` stands in for the one named `onnxruntime`.
"""

import os
import shutil
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from tests.servers.processes import Server, free_port
from tests.servers.s3 import S3Server

VENV = Path(__file__).parents[2] / ".venv-triton"
PACKAGES = VENV / "lib/python3.11/site-packages"
SHIPPED = PACKAGES / "pytriton/tritonserver"
BACKEND = Path(__file__).with_name("triton_backend") / "model.py"


class Triton(Server):
    """A running Triton."""

    def __init__(self, folder: Path, repository: str, environment: Mapping[str, str]) -> None:
        """`repository` as --model-repository takes it; `folder` gets the log."""
        assert SHIPPED.is_dir(), f"{SHIPPED} is not there: make test-triton"
        grpc, http, self._metrics = free_port(), free_port(), free_port()
        command = [
            str(SHIPPED / "bin/tritonserver"),
            f"--model-repository={repository}",
            f"--backend-directory={_backends(folder)}",
            "--disable-auto-complete-config",
            *("--model-control-mode=poll", "--repository-poll-secs=1"),
            *("--grpc-address=127.0.0.1", f"--grpc-port={grpc}"),
            *("--http-address=127.0.0.1", f"--http-port={http}"),
            *("--metrics-address=127.0.0.1", f"--metrics-port={self._metrics}"),
        ]
        libraries = f"{PACKAGES / 'nvidia_pytriton.libs'}:{sysconfig.get_config_var('LIBDIR')}"
        # Its Python finds its packages by the first python on the PATH.
        own = {"LD_LIBRARY_PATH": libraries, "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}"}
        super().__init__(command, f"127.0.0.1:{grpc}", folder / "triton.log", {**environment, **own})

    def kill(self) -> None:
        """Kill -9 of all its processes, as of a pod: each instance of a model is one."""
        backends = psutil.Process(self.pid).children(recursive=True)
        super().kill()
        for each in backends:
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def count(self, metric: str, model: str) -> int:
        """A counter of its metrics, such as nv_inference_exec_count."""
        lines = httpx.get(f"http://127.0.0.1:{self._metrics}/metrics").text.splitlines()
        return int(next(line for line in lines if line.startswith(f'{metric}{{model="{model}"')).rpartition(" ")[2])


@contextmanager
def triton(folder: Path, s3: S3Server, where: str) -> Iterator[Triton]:
    """A Triton on the model repository `where`, bucket/prefix, of an S3 server."""
    server = Triton(folder, f"s3://http://{s3.address}/{where}", s3.environment)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _backends(folder: Path) -> Path:
    """The shipped backend with its program for this Python, and the one in Python beside it."""
    backends = folder / "backends"
    shutil.copytree(SHIPPED / "backends", backends, dirs_exist_ok=True)
    shutil.copy(SHIPPED / "python_backend_stubs/3.11/triton_python_backend_stub", backends / "python")
    (backends / "onnxruntime").mkdir(exist_ok=True)
    shutil.copy(BACKEND, backends / "onnxruntime")
    return backends
