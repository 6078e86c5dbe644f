"""One caller hinders no other: not with a message that is too large, not by reading nothing, not by saying nothing."""

import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest

from kyara.jobs.v1.jobs_pb2 import CreateJobRequest, GetJobRequest, JobState, ListJobsRequest, WatchJobRequest
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara_rpc import connect_sync
from kyara_rpc.channel import MAX_MESSAGE
from kyara_rpc.tokens import Role
from services.jobs.tests.guarded import Guarded, bearer
from services.jobs.tests.jobs_world import Temporal, create, until_ended, video_spec
from tests.servers.s3 import SECRET, s3_server

WATCHERS = 60
LONG = 100_000
"""Bytes that each message to a watcher has at least."""
QUICK_S = 3.0


@pytest.fixture(scope="module")
def world(folder: Path, temporal: Temporal) -> Iterator[Guarded]:
    guarded = Guarded(folder / "limits", temporal, "limits")
    yield guarded
    guarded.stop()


def test_a_message_that_is_too_large_is_refused_and_the_server_lives(world: Guarded) -> None:
    client = world.of("acme", Role.SUBMIT)
    request = CreateJobRequest(request_id=str(uuid.uuid4()), spec=video_spec("x" * (MAX_MESSAGE + 1)))
    with pytest.raises(grpc.RpcError) as caught:
        client.CreateJob(request)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    assert not client.ListJobs(ListJobsRequest()).jobs


def test_headers_that_are_too_large_are_refused_and_the_server_lives(world: Guarded) -> None:
    with pytest.raises(grpc.RpcError):
        world.showing(bearer("x" * 100_000)).ListJobs(ListJobsRequest(), timeout=10)
    world.of("acme", Role.READ).ListJobs(ListJobsRequest(), timeout=10)


def test_watchers_that_read_nothing_hinder_nobody_and_take_no_memory(world: Guarded) -> None:
    client = world.of("acme", Role.SUBMIT)
    gate = world.stages.hold("watched", "embedder")
    job_id = create(client, video_spec("watched", source="season?" + "x" * LONG))
    assert gate.reached.wait(60)
    reader = client.WatchJob(WatchJobRequest(id=job_id))
    trusted = grpc.ssl_channel_credentials(world.authority.ca.read_bytes())
    server = psutil.Process(world.process.pid)
    with connect_sync(world.process.serves, trusted) as channel:
        shown = bearer(world.token("acme", Role.READ))
        watching = [JobServiceStub(channel).WatchJob(WatchJobRequest(id=job_id), metadata=shown) for _ in range(WATCHERS)]
        for _ in range(5):
            next(reader)
        before = server.memory_info().rss
        for _ in range(10):
            next(reader)
            began = time.monotonic()
            client.GetJob(GetJobRequest(id=job_id), timeout=10)
            assert time.monotonic() - began < QUICK_S
        grown = server.memory_info().rss - before
        assert grown < WATCHERS * LONG * 10 / 4, "all that was said meanwhile is four times as much"
        gate.open()
        assert until_ended(client, job_id).state == JobState.JOB_STATE_SUCCEEDED
        for each in watching:
            each.cancel()


def test_connections_that_say_nothing_hinder_nobody(world: Guarded) -> None:
    host, port = world.process.serves.split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(300)]
    trusted = grpc.ssl_channel_credentials(world.authority.ca.read_bytes())
    began = time.monotonic()
    with connect_sync(world.process.serves, trusted) as channel:
        shown = bearer(world.token("acme", Role.READ))
        JobServiceStub(channel).ListJobs(ListJobsRequest(), metadata=shown, timeout=10)
    assert time.monotonic() - began < QUICK_S
    for each in silent:
        each.close()


def test_no_secret_is_in_logs_or_records(
    folder: Path, temporal: Temporal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_token = "hf_a-hub-token-for-tests"
    monkeypatch.setenv("HF_TOKEN", hub_token)
    with s3_server(tmp_path) as s3:
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        s3.client().make_bucket("kyara")
        world = Guarded(folder / "secrets", temporal, "secrets", s3.url("kyara"), log_level="debug")
        try:
            token = world.token("acme", Role.SUBMIT)
            client = world.showing(bearer(token))
            assert until_ended(client, create(client, video_spec("secrets"))).state == JobState.JOB_STATE_SUCCEEDED
            with pytest.raises(grpc.RpcError):
                world.showing(bearer(token + "x")).ListJobs(ListJobsRequest())
            log = world.process.log()
            assert '"audit"' in log
            objects = s3.client().list_objects("kyara", recursive=True)
            names = [each.object_name for each in objects if each.object_name and "/blobs/" not in f"/{each.object_name}"]
            records = b"".join(s3.client().get_object("kyara", name).data for name in names)
            assert b"of-acme" not in records
            assert b'"tenant": "acme"' in records, "the records were found"
            written = log.encode() + records + os.fsencode(str(names))
            for secret in (token, token.split(".")[2], hub_token, SECRET, world.signer.read_text().splitlines()[1]):
                assert secret.encode() not in written
        finally:
            world.stop()
