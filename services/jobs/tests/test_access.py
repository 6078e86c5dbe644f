"""Who may do what at jobs: no token, a wrong one, a wrong role, another tenant's job; and what is written of it."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from kyara.jobs.v1.jobs_pb2 import (
    CancelJobRequest,
    CreateJobRequest,
    GetJobRequest,
    Job,
    JobState,
    ListJobsRequest,
    ListRecipesRequest,
    NameClustersRequest,
    RetryJobRequest,
    WatchJobRequest,
)
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara_artifacts import open_store
from kyara_jobs.records import Records
from kyara_rpc.tokens import Role
from services.jobs.tests.guarded import Guarded, Metadata, bearer, confused, signed, unsigned, write_pair
from services.jobs.tests.jobs_world import Temporal, create, until_ended, video_spec

READ, SUBMIT, ADMIN = Role.READ, Role.SUBMIT, Role.ADMIN
READING = ("GetJob", "ListJobs", "WatchJob", "ListRecipes")
CHANGING = ("CreateJob", "CancelJob", "RetryJob", "NameClusters")


@pytest.fixture(scope="module")
def world(folder: Path, temporal: Temporal) -> Iterator[Guarded]:
    guarded = Guarded(folder / "guarded", temporal, "guarded")
    yield guarded
    guarded.stop()


@pytest.fixture(scope="module")
def job(world: Guarded) -> Job:
    """A job of the tenant acme that has ended."""
    client = world.of("acme", SUBMIT, subject="aya")
    return until_ended(client, create(client, video_spec("of-acme")))


def called(client: JobServiceStub, method: str, job_id: str = "") -> "grpc.StatusCode | None":
    """How a call ends; None when it is answered."""
    requests: dict[str, Any] = {
        "GetJob": GetJobRequest(id=job_id),
        "ListJobs": ListJobsRequest(),
        "WatchJob": WatchJobRequest(id=job_id),
        "ListRecipes": ListRecipesRequest(),
        "CreateJob": CreateJobRequest(request_id=str(uuid.uuid4()), spec=video_spec("called")),
        "CancelJob": CancelJobRequest(id=job_id),
        "RetryJob": RetryJobRequest(id=job_id),
        "NameClusters": NameClustersRequest(id=job_id),
    }
    try:
        answer = getattr(client, method)(requests[method], timeout=30)
        if method == "WatchJob":
            list(answer)
    except grpc.RpcError as error:
        return error.code()  # type: ignore[attr-defined]
    return None


def audited(world: Guarded, count: int, **wanted: str) -> list[dict[str, Any]]:
    """The `count` lines of the audit log that say this; they may come a moment after the answer."""
    until = time.monotonic() + 10
    while True:
        lines = [json.loads(line) for line in world.process.log().splitlines() if '"event": "audit"' in line]
        found = [line for line in lines if all(line.get(key) == wanted[key] for key in wanted)]
        if len(found) >= count:
            assert len(found) == count, found
            return found
        assert time.monotonic() < until, lines
        time.sleep(0.05)


def test_a_job_goes_through_stages_that_want_a_service_identity_and_is_its_tenant_s(world: Guarded, job: Job) -> None:
    assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
    assert job.tenant == "acme"
    recorded = Records(open_store(world.store_url)).read(job.id)
    assert recorded
    assert recorded.tenant == "acme"


def test_users_and_stages_are_still_spoken_to_once_all_certificates_are_of_another_ca(world: Guarded) -> None:
    world.renew_certificates()
    client = world.of("acme", SUBMIT)
    assert until_ended(client, create(client, video_spec("renewed"))).state == JobState.JOB_STATE_SUCCEEDED


@pytest.mark.parametrize("method", READING + CHANGING)
def test_without_a_token_no_method_answers(world: Guarded, job: Job, method: str) -> None:
    assert called(world.showing(()), method, job.id) == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "shown",
    [
        lambda world: bearer(signed(world, exp=time.time() - 60)),
        lambda world: bearer(signed(world, exp=None)),
        lambda world: bearer(signed(world, aud="another-system")),
        lambda world: bearer(signed(world, aud=None)),
        lambda world: bearer(signed(world, sub=None)),
        lambda world: bearer(signed(world, tenant=None)),
        lambda world: bearer(signed(world, tenant="../acme")),
        lambda world: bearer(signed(world, tenant="acme\n")),
        lambda world: bearer(signed(world, roles="admin")),
        lambda world: bearer(unsigned()),
        lambda world: bearer(confused(world)),
        lambda world: bearer(signed(world)[:-8] + "AAAAAAAA"),
        lambda world: bearer("not.a.token"),
        lambda world: bearer(""),
        lambda world: (("authorization", world.token("acme", ADMIN)),),
        lambda world: (*bearer(signed(world)), *bearer(signed(world, tenant="other"))),
    ],
    ids=[
        "expired", "never expires", "another audience", "no audience", "nobody", "no tenant", "a path as tenant", "a line end",
        "roles as text", "unsigned", "signed with the public key", "signature changed", "no token", "empty", "no scheme", "two",
    ],
)  # fmt: skip
def test_a_token_that_is_not_right_in_every_way_is_not_taken(world: Guarded, shown: Callable[[Guarded], Metadata]) -> None:
    assert called(world.showing(shown(world)), "ListJobs") == grpc.StatusCode.UNAUTHENTICATED


def test_a_token_of_another_signer_is_not_taken(world: Guarded, tmp_path: Path) -> None:
    assert called(world.showing(bearer(signed(world))), "ListJobs") is None, "what is changed below is all that is wrong"
    own = world.signer
    world.signer = tmp_path / "other.pem"
    write_pair(world.signer, tmp_path / "other-public.pem")
    try:
        assert called(world.of("acme", ADMIN), "ListJobs") == grpc.StatusCode.UNAUTHENTICATED
    finally:
        world.signer = own


@pytest.mark.parametrize("method", READING)
def test_who_may_read_may_read(world: Guarded, job: Job, method: str) -> None:
    assert called(world.of("acme", READ), method, job.id) is None


@pytest.mark.parametrize("method", CHANGING)
def test_who_may_only_read_changes_nothing(world: Guarded, job: Job, method: str) -> None:
    assert called(world.of("acme", READ), method, job.id) == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("method", READING + CHANGING)
def test_roles_of_another_system_grant_nothing(world: Guarded, job: Job, method: str) -> None:
    stranger = world.showing(bearer(signed(world, roles=["owner", "root", 7, None])))
    assert called(stranger, method, job.id) == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("method", ["GetJob", "WatchJob", "CancelJob", "RetryJob", "NameClusters"])
def test_another_tenant_s_job_is_not_found(world: Guarded, job: Job, method: str) -> None:
    other = world.of("other", SUBMIT)
    assert called(other, method, job.id) == called(other, method, "nobody") == grpc.StatusCode.NOT_FOUND


def test_a_list_shows_a_tenant_its_own_jobs_and_an_admin_all(world: Guarded, job: Job) -> None:
    other = world.of("other", SUBMIT)
    theirs = create(other, video_spec("of-other"))
    until_ended(other, theirs)
    assert [each.id for each in other.ListJobs(ListJobsRequest()).jobs] == [theirs]
    acme = {each.id for each in world.of("acme", READ).ListJobs(ListJobsRequest()).jobs}
    assert job.id in acme
    assert theirs not in acme
    admin = world.of("default", ADMIN)
    first = admin.ListJobs(ListJobsRequest(page_size=1))
    rest = admin.ListJobs(ListJobsRequest(page_size=200, page_token=first.next_page_token))
    assert {each.id for each in (*first.jobs, *rest.jobs)} >= {job.id, theirs}
    assert admin.GetJob(GetJobRequest(id=job.id)).job.tenant == "acme"


def test_the_same_request_id_of_two_tenants_is_two_jobs(world: Guarded) -> None:
    request = CreateJobRequest(request_id=str(uuid.uuid4()), spec=video_spec("same-id"))
    clients = [world.of(tenant, SUBMIT) for tenant in ("acme", "other", "default")]
    ids = [client.CreateJob(request).job.id for client in clients]
    assert len(set(ids)) == 3
    for client, job_id in zip(clients, ids, strict=True):
        until_ended(client, job_id)


def test_watching_ends_with_the_token(world: Guarded) -> None:
    gate = world.stages.hold("watched", "embedder")
    job_id = create(world.of("acme", SUBMIT), video_spec("watched"))
    assert gate.reached.wait(60)
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        for _ in world.of("acme", READ, seconds=4).WatchJob(WatchJobRequest(id=job_id), timeout=60):
            pass
    gate.open()
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]
    assert time.monotonic() - began < 25
    until_ended(world.of("acme", READ), job_id)


def test_the_audit_log_names_who_changed_what_and_who_was_refused(world: Guarded) -> None:
    client = world.of("acme", SUBMIT, subject="auditor-case")
    job_id = create(client, video_spec("audited"))
    until_ended(client, job_id)
    called(client, "CancelJob", job_id)
    called(world.of("other", SUBMIT, subject="nosy"), "GetJob", job_id)
    called(world.of("acme", READ, subject="reader"), "CancelJob", job_id)
    called(world.showing(()), "RetryJob", "x" * 5000)
    made, too_late = audited(world, 2, subject="auditor-case")
    assert (made["method"], made["job"], made["tenant"], made["code"]) == ("CreateJob", job_id, "acme", "OK")
    assert made["peer"].startswith("ipv4:127.0.0.1:")
    assert (too_late["method"], too_late["code"]) == ("CancelJob", "FAILED_PRECONDITION")
    assert [line["code"] for line in audited(world, 1, subject="nosy", job=job_id)] == ["NOT_FOUND"]
    assert [line["code"] for line in audited(world, 1, subject="reader")] == ["PERMISSION_DENIED"]
    (nameless,) = audited(world, 1, method="RetryJob", code="UNAUTHENTICATED", job="x" * 64)
    assert "subject" not in nameless


def test_the_audit_log_is_written_at_every_log_level(folder: Path, temporal: Temporal) -> None:
    quiet = Guarded(folder / "quiet", temporal, "quiet", log_level="error")
    try:
        called(quiet.showing(()), "ListJobs")
        assert [line["code"] for line in audited(quiet, 1)] == ["UNAUTHENTICATED"]
    finally:
        quiet.stop()


def test_nobody_is_told_what_is_served(world: Guarded) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ProtoReflectionDescriptorDatabase(world.channel).get_services()
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]


def started(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A jobs server that must not start."""
    values = {"store": f"file://{tmp_path}/store", **settings}
    environment = os.environ | {f"KYARA_JOBS_{name.upper()}": value for name, value in values.items()}
    command = [sys.executable, "-m", "kyara_jobs"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_it_does_not_start_open_to_everybody(tmp_path: Path) -> None:
    done = started(tmp_path, listen="0.0.0.0:0")
    assert done.returncode == 2
    assert "auth_key" in done.stderr
    assert "allow_anonymous" in done.stderr


@pytest.mark.parametrize(
    ("key", "words"),
    [(b"too short", "32"), (b"-----BEGIN PUBLIC KEY-----\nx\n", "no PEM key"), (b"", "0 bytes"), (None, "private key")],
)
def test_it_does_not_start_with_a_key_that_protects_nothing(tmp_path: Path, key: bytes | None, words: str) -> None:
    file = tmp_path / "key"
    if key is None:
        write_pair(file, tmp_path / "public")
    else:
        file.write_bytes(key)
    done = started(tmp_path, auth_key=str(file))
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
