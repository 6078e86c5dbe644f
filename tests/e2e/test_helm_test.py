"""What `helm test` runs in a cluster, run here against a whole Kyara on a real S3 server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.kyara import kyara_up
from tests.servers.s3 import s3_server

SCRIPT = Path(__file__).parents[2] / "charts" / "kyara" / "files" / "miniature_job.py"


def test_the_charts_test_sees_a_job_through_and_leaves_no_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server(tmp_path) as s3:
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        # As the chart tells the fetcher.
        monkeypatch.setenv("KYARA_FETCHER_S3_ENDPOINT", f"http://{s3.address}")
        with kyara_up(tmp_path / "state", s3.url("kyara", "tenant")) as kyara:
            environment = {**os.environ, "KYARA_ADDRESS": kyara.address, "KYARA_STORE": kyara.store_url}
            environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run([sys.executable, SCRIPT], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert "s3://kyara/tenant/helm-test/episode.mkv" in done.stdout and "succeeded" in done.stdout
        assert not list(s3.client().list_objects("kyara", prefix="tenant/helm-test/", recursive=True))
