"""What a store promises, held by both: a directory, and S3 on a real SeaweedFS."""

import hashlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest

from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts import BlobCorrupt, BlobMissing, Store, StoreError, StoreFull, digest_of, open_store
from tests.servers.processes import free_port
from tests.servers.s3 import S3Server, s3_server

MANY_PARTS = random.Random(1).randbytes(40 << 20)
"""More than two parts of a multipart upload."""
ABSENT = digest_of(b"nobody kept this")
Overwrite = Callable[[str, bytes], None]


@dataclass(frozen=True)
class Kept:
    """A store, and the way behind it."""

    url: str
    store: Store
    overwrite: Overwrite
    """Replaces what lies under a name, unseen by the store."""
    names: Callable[[], list[str]]
    """What a reader could see under `blobs`."""


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["directory", "s3"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    if request.param == "directory":
        return in_directory(tmp_path / "store")
    server: S3Server = request.getfixturevalue("s3")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return in_s3(server, tmp_path.name)


@pytest.fixture
def store(kept: Kept) -> Store:
    return kept.store


def in_directory(root: Path) -> Kept:
    def names() -> list[str]:
        return [path.relative_to(root).as_posix() for path in (root / "blobs").rglob("*") if path.is_file()]

    url = f"file://{root}"
    return Kept(url, open_store(url), lambda name, data: void((root / name).write_bytes(data)), names)


def in_s3(server: S3Server, prefix: str) -> Kept:
    client = server.client()

    def overwrite(name: str, data: bytes) -> None:
        client.put_object("kyara", f"{prefix}/{name}", BytesIO(data), len(data))

    def names() -> list[str]:
        objects = client.list_objects("kyara", f"{prefix}/blobs/", recursive=True)
        return [(each.object_name or "").removeprefix(f"{prefix}/") for each in objects]

    url = server.url("kyara", prefix)
    return Kept(url, open_store(url), overwrite, names)


def void(_: object) -> None:
    """Nothing, of something."""


def name_of(digest: Digest) -> str:
    return f"blobs/{digest.sha256[:2]}/{digest.sha256}"


@pytest.mark.parametrize("data", [b"", b"a", b"\0\r\n" * 1000, MANY_PARTS], ids=["empty", "a-byte", "small", "40-MiB"])
@pytest.mark.parametrize("from_file", [False, True], ids=["bytes", "file"])
def test_what_is_put_comes_back(store: Store, tmp_path: Path, data: bytes, from_file: bool) -> None:
    source = tmp_path / "source"
    source.write_bytes(data)
    digest = store.put(source if from_file else data)
    assert digest == Digest(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    assert store.has(digest)
    assert store.get(digest) == data
    store.fetch(digest, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == data


def test_the_same_blob_is_written_once(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "same").write_bytes(b"same")
    assert kept.store.put(b"same") == kept.store.put(b"same") == kept.store.put(tmp_path / "same")
    assert kept.names() == [name_of(digest_of(b"same"))]


def test_many_writers_of_the_same_blob_agree(kept: Kept) -> None:
    data = MANY_PARTS[: 1 << 20]
    with ThreadPoolExecutor(8) as pool:
        digests = list(pool.map(lambda _: open_store(kept.url).put(data), range(8)))
    assert digests == [digest_of(data)] * 8
    assert kept.store.get(digests[0]) == data


def test_a_missing_blob_is_said(store: Store, tmp_path: Path) -> None:
    assert not store.has(ABSENT)
    with pytest.raises(BlobMissing, match=ABSENT.sha256):
        store.get(ABSENT)
    with pytest.raises(BlobMissing):
        store.fetch(ABSENT, tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize("damage", [b"hellO", b"hell", b"", b"hello and more"], ids=["changed", "cut", "emptied", "grown"])
def test_a_damaged_blob_is_never_given_out(kept: Kept, tmp_path: Path, damage: bytes) -> None:
    digest = kept.store.put(b"hello")
    kept.overwrite(name_of(digest), damage)
    with pytest.raises(BlobCorrupt, match=digest.sha256):
        kept.store.get(digest)
    (tmp_path / "out").write_bytes(b"as it was")
    with pytest.raises(BlobCorrupt):
        kept.store.fetch(digest, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"as it was"
    assert not list(tmp_path.glob(".out*"))


def test_a_blob_of_the_wrong_size_is_not_there_and_is_written_anew(kept: Kept) -> None:
    digest = kept.store.put(b"hello")
    kept.overwrite(name_of(digest), b"hel")
    assert not kept.store.has(digest)
    kept.store.put(b"hello")
    assert kept.store.get(digest) == b"hello"


@pytest.mark.parametrize("sha256", ["", "../../etc/passwd", "A" * 64, "f" * 63, "f" * 65, f"{'f' * 63}\n"])
def test_what_is_no_digest_is_refused(store: Store, tmp_path: Path, sha256: str) -> None:
    wrong = Digest(sha256=sha256, size_bytes=1)
    for ask in (store.has, store.get, lambda digest: store.fetch(digest, tmp_path / "out")):
        with pytest.raises(ValueError, match="SHA-256"):
            ask(wrong)


@pytest.mark.parametrize("key", ["", "/jobs/1", "jobs/../1", "jobs//1", ".hidden", "jobs/", "a b", "jobs/1\n", "jobs\\1"])
def test_what_is_no_key_is_refused(store: Store, key: str) -> None:
    for ask in (store.get_record, lambda each: store.put_record(each, b""), lambda each: list(store.list_records(each))):
        with pytest.raises(ValueError, match="record key"):
            ask(key)


def test_a_record_is_replaced(store: Store) -> None:
    assert store.get_record("jobs/1") is None
    store.put_record("jobs/1", b"queued")
    store.put_record("jobs/1", b"")
    store.put_record("jobs/1", b"running")
    assert store.get_record("jobs/1") == b"running"


def listed(store: Store, prefix: str | None) -> list[str]:
    return [record.name for record in store.list_records(prefix)]


def test_records_are_listed_by_folder_and_in_order(store: Store) -> None:
    keys = ["jobs/b/2", "jobs/b-1", "jobs/b.1", "jobs/10", "jobs/a", "jobs/b/10", "jobs2/c", "actions/jobs"]
    for key in keys:
        store.put_record(key, b"x")
    assert listed(store, "jobs") == sorted(key for key in keys if key.startswith("jobs/"))
    assert listed(store, "jobs/b") == ["jobs/b/10", "jobs/b/2"]
    assert listed(store, "nothing") == []
    assert listed(store, None) == sorted(keys)


def test_a_listing_tells_size_and_age(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    store.put_record("jobs/1", b"four")
    digest = store.put(b"a blob")
    (record,), (blob,) = store.list_records(), store.list_blobs()
    assert (record.size, blob.size, blob.name) == (4, 6, digest.sha256)
    for each in (record, blob):
        assert before < each.written < datetime.now(UTC) + timedelta(seconds=2)


def test_what_is_removed_is_gone_and_nothing_else(store: Store) -> None:
    digests = store.put_all([str(n).encode() for n in range(10)])
    for key in ("jobs/1", "jobs/2"):
        store.put_record(key, b"x")
    for _ in range(2):  # the second time there is nothing left to remove
        store.remove_blobs([digest.sha256 for digest in digests[:7]])
        store.remove_record("jobs/1")
    assert {blob.name for blob in store.list_blobs()} == {digest.sha256 for digest in digests[7:]}
    assert listed(store, None) == ["jobs/2"]
    with pytest.raises(BlobMissing):
        store.get(digests[0])
    assert store.get(store.put(b"0")) == b"0"


def test_a_blob_put_again_after_a_day_counts_as_new(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Garbage is what nobody needed for long: a stage that makes a blob anew needs it."""
    kept.store.put(b"a blob")
    (first,) = kept.store.list_blobs()
    time.sleep(1.1)  # S3 tells whole seconds
    kept.store.put(b"a blob")
    assert list(kept.store.list_blobs()) == [first]
    monkeypatch.setattr("kyara_artifacts.ages.FRESH", timedelta(seconds=1))
    kept.store.put(b"a blob")
    (again,) = kept.store.list_blobs()
    assert again.written > first.written


def test_a_reader_sees_one_record_or_the_other_but_no_mixture(kept: Kept) -> None:
    values = [bytes([n]) * 50_000 for n in range(4)]
    kept.store.put_record("jobs/1", values[0])

    def write() -> None:
        mine = open_store(kept.url)
        for n in range(60):
            mine.put_record("jobs/1", values[n % 4])

    seen = set()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not writing.done():
            seen.add(kept.store.get_record("jobs/1"))
    writing.result()
    assert seen <= set(values)


def test_many_go_and_come_in_their_order(store: Store, tmp_path: Path) -> None:
    items: list[bytes | Path] = [str(n).encode() * (50 - n) for n in range(50)]
    (tmp_path / "file").write_bytes(b"from a file")
    items[7] = tmp_path / "file"
    digests = store.put_all(items)
    expected = [item if isinstance(item, bytes) else item.read_bytes() for item in items]
    assert digests == [digest_of(data) for data in expected]
    assert list(store.get_all(digests)) == expected
    assert store.put_all([]) == [] == list(store.get_all([]))


def test_a_missing_one_among_many_is_said(store: Store) -> None:
    digests = store.put_all([b"a", b"b", b"c"])
    coming = store.get_all([*digests, ABSENT, *digests])
    assert [next(coming) for _ in digests] == [b"a", b"b", b"c"]
    with pytest.raises(BlobMissing):
        next(coming)


KILLED_WRITERS = """
import itertools, os, random, signal, sys, time
from pathlib import Path
from kyara_artifacts import open_store
url, source, moments = sys.argv[1], sys.argv[2], random.Random(3)
for writer in range(8):
    pid = os.fork()
    if pid == 0:
        store = open_store(url)
        for number in itertools.count():
            with open(source, "r+b") as file:
                file.write(b"%d-%d" % (writer, number))
            store.put(Path(source))
    time.sleep(moments.uniform(0.05, 0.5))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


def test_a_writer_killed_in_the_middle_leaves_nothing_readable_and_no_obstacle(kept: Kept, tmp_path: Path) -> None:
    size = 24 << 20
    source = tmp_path / "source"
    source.write_bytes(MANY_PARTS[:size])
    subprocess.run([sys.executable, "-c", KILLED_WRITERS, kept.url, str(source)], check=True)
    for name in kept.names():
        digest = Digest(sha256=name.rsplit("/", 1)[1], size_bytes=size)
        assert name == name_of(digest)
        assert kept.store.has(digest)
        assert digest_of(kept.store.get(digest)) == digest
    # What the last one was about to write.
    assert kept.store.get(kept.store.put(source)) == source.read_bytes()


FILLER = """
import random, sys
from kyara_artifacts import StoreFull, digest_of, open_store
store = open_store("file://" + sys.argv[1])
kept = [store.put(random.Random(number).randbytes(1 << 20)) for number in range(2)]
too_much = random.Random(9).randbytes(8 << 20)
try:
    store.put(too_much)
    sys.exit("nothing was said")
except StoreFull as error:
    print(error)
assert not store.has(digest_of(too_much))
assert all(digest_of(store.get(digest)) == digest for digest in kept)
store.put(b"there is room again for little things")
"""


def test_a_full_disk_is_said_with_its_folder_and_leaves_nothing_behind(tmp_path: Path) -> None:
    # A file system of 4 MiB of its own, which is gone with the process.
    within = f'mount -t tmpfs -o size=4m tmpfs "{tmp_path}" && exec "{sys.executable}" -c "$0" "{tmp_path}/store"'
    own = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*own, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here, not even in a namespace of one's own")
    ended = subprocess.run([*own, "sh", "-c", within, FILLER], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert f"{tmp_path}/store" in ended.stdout
    assert "free some" in ended.stdout


def test_a_full_disk_is_said_by_fetch_too(store: Store, tmp_path: Path) -> None:
    digest = store.put(b"x")
    (tmp_path / "far").mkdir()
    # The kernel's own full device, where the copy is written first.
    (tmp_path / "far" / f".out.{os.getpid()}.part").symlink_to("/dev/full")
    with pytest.raises(StoreFull, match=f"{tmp_path}/far"):
        store.fetch(digest, tmp_path / "far" / "out")
    assert not list((tmp_path / "far").iterdir())


class FullServer(BaseHTTPRequestHandler):
    """Answers as MinIO does when its disks are full: SeaweedFS has no error of its own for that."""

    def do_HEAD(self) -> None:
        self.send_response(200 if self.path.count("/") == 1 else 404)
        self.end_headers()

    def do_PUT(self) -> None:
        body = b"<Error><Code>XMinioStorageFull</Code><Message>The storage has no room left</Message></Error>"
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(507)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Be silent."""


@pytest.mark.usefixtures("keys")
def test_an_s3_server_without_room_is_told_from_one_that_is_away() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), FullServer) as server:
        threading.Thread(target=server.serve_forever).start()
        store = open_store(f"s3://kyara/?endpoint=http://127.0.0.1:{server.server_port}")
        for write in (lambda: store.put(b"x"), lambda: store.put_record("jobs/1", b"x")):
            with pytest.raises(StoreFull):
                write()
        server.shutdown()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")


@pytest.mark.usefixtures("keys")
def test_wrong_keys_are_refused_with_the_servers_name(s3: S3Server) -> None:
    with pytest.raises(StoreError, match=s3.address):
        open_store(s3.url("kyara"))


def test_a_wrong_secret_is_refused(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.environment["AWS_ACCESS_KEY_ID"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not the secret")
    with pytest.raises(StoreError, match="kyara"):
        open_store(s3.url("kyara"))


def test_s3_without_keys_says_which_variables_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(ValueError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        open_store("s3://kyara?endpoint=http://127.0.0.1:1")


@pytest.mark.usefixtures("keys")
def test_an_s3_server_that_is_away_is_said_at_the_start() -> None:
    with pytest.raises(StoreError, match=r"127\.0\.0\.1"):
        open_store(f"s3://kyara?endpoint=http://127.0.0.1:{free_port()}")


def test_an_s3_server_that_goes_away_is_a_store_error_from_then_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        store = open_store(server.url("kyara"))
    asks: list[Callable[[], object]] = [
        lambda: store.put(b"x"),
        lambda: store.get(ABSENT),
        lambda: store.has(ABSENT),
        lambda: store.fetch(ABSENT, tmp_path / "out"),
        lambda: store.put_record("jobs/1", b"x"),
        lambda: store.get_record("jobs/1"),
        lambda: list(store.list_records("jobs")),
    ]
    with ThreadPoolExecutor(len(asks)) as pool:
        answers = [pool.submit(ask).exception() for ask in asks]
    assert {type(answer) for answer in answers} == {StoreError}


def test_services_that_start_at_once_share_a_new_bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(open_store, [s3.url("brand-new")] * 8))
    digest = stores[0].put(b"seen by all")
    assert all(store.has(digest) for store in stores)


@pytest.mark.parametrize("url", ["", "/folder", "file://host/folder", "ftp://x/y", "s3:///prefix", "file:"])
def test_what_is_no_store_is_refused_with_the_forms_there_are(url: str) -> None:
    with pytest.raises(ValueError, match=r"file:///folder or s3://bucket"):
        open_store(url)
