"""Videos from a real S3 server, pinned by their tags."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from minio import Minio

from kyara_artifacts import get_json
from kyara_stage import StageError
from services.fetcher.tests.fetcher_bench import Bench
from services.fetcher.tests.fetcher_swarm import film
from tests.servers.processes import free_port
from tests.servers.s3 import S3Server, s3_server

BUCKET = "videos"
ONE, TWO, MENU = b"one" * 1000, b"two" * 900, b"menu" * 10


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        client = server.client()
        client.make_bucket(BUCKET)
        for key, data in {
            "show/e01.mkv": ONE,
            "show/season 2/e02 第2話.mkv": TWO,
            "show/extras/menu.mp4": MENU,
            "show/notes.txt": b"no video",
            "show/empty.mkv": b"",
            "shown/e09.mkv": b"of another show",
            "show/e01.mkv.bak": b"old",
        }.items():
            put(client, key, data)
        yield server


@pytest.fixture
def s3_bench(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return Bench(tmp_path / "bench", s3_endpoint=f"http://{s3.address}")


def put(client: Minio, key: str, data: bytes) -> None:
    client.put_object(BUCKET, key, BytesIO(data), len(data))


def test_a_prefix_gives_the_videos_below_it_as_a_folder_does(s3_bench: Bench, tmp_path: Path) -> None:
    expected = {"e01.mkv": ONE, "extras/menu.mp4": MENU, "season 2/e02 第2話.mkv": TWO}
    for source in (f"s3://{BUCKET}/show", f"s3://{BUCKET}/show/"):
        assert s3_bench.fetch(source) == expected
        assert [each["item"] for each in s3_bench.rejected] == ["empty.mkv"]
    assert list(s3_bench.work.iterdir()) == []
    for name, data in {**expected, "empty.mkv": b""}.items():
        (tmp_path / "show" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "show" / name).write_bytes(data)
    by_folder = s3_bench.outputs(s3_bench.resolve(str(tmp_path / "show")))
    assert s3_bench.outputs(s3_bench.resolve(f"s3://{BUCKET}/show")) == by_folder, "the same videos, the same digests"


def test_one_object_and_a_whole_bucket_are_sources_too(s3_bench: Bench) -> None:
    assert s3_bench.fetch(f"s3://{BUCKET}/show/e01.mkv") == {"e01.mkv": ONE}
    assert "shown/e09.mkv" in s3_bench.fetch(f"s3://{BUCKET}")
    assert s3_bench.fetch(f"S3://{BUCKET}", patterns=["show/*"], largest_only=True) == {"show/e01.mkv": ONE}


def test_keys_that_try_to_leave_the_folder_do_not(s3: S3Server, s3_bench: Bench) -> None:
    put(s3.client(), "bad/~/c:\\escaped.mkv", b"outside")
    assert s3_bench.fetch(f"s3://{BUCKET}/bad") == {"~/c_/escaped.mkv": b"outside"}


def test_objects_that_change_after_they_were_pinned_are_refused(s3: S3Server, s3_bench: Bench) -> None:
    put(s3.client(), "changing/e01.mkv", b"before")
    pinned = s3_bench.resolve(f"s3://{BUCKET}/changing")
    put(s3.client(), "changing/e01.mkv", b"after!")
    with pytest.raises(StageError, match=r"changing/e01\.mkv has changed since the job began; retry"):
        s3_bench.fetch_pinned(pinned)
    s3.client().remove_object(BUCKET, "changing/e01.mkv")
    with pytest.raises(StageError, match="has changed"):
        s3_bench.fetch_pinned(pinned)


def test_what_was_downloaded_whole_is_not_downloaded_again(s3: S3Server, s3_bench: Bench, tmp_path: Path) -> None:
    """The second of two cannot be had at first; the first is gone from the bucket when it can."""
    data = film(tmp_path / "big.mkv", 3_000_000)
    put(s3.client(), "two/a.mkv", data)
    put(s3.client(), "two/b.mkv", TWO)
    pinned = s3_bench.resolve(f"s3://{BUCKET}/two")
    s3.client().remove_object(BUCKET, "two/b.mkv")
    with pytest.raises(StageError, match=r"b\.mkv has changed"):
        s3_bench.fetch_pinned(pinned)
    put(s3.client(), "two/b.mkv", TWO)
    s3.client().remove_object(BUCKET, "two/a.mkv")
    assert s3_bench.fetch_pinned(pinned) == {"a.mkv": data, "b.mkv": TWO}


def test_the_cap_holds_before_anything_is_read(s3_bench: Bench) -> None:
    with pytest.raises(StageError, match="more than the"):
        s3_bench.fetch(f"s3://{BUCKET}/show", max_total_bytes=3000)
    assert not list(s3_bench.work.rglob("0*"))


def test_the_pin_names_no_server(s3: S3Server, s3_bench: Bench) -> None:
    pinned = get_json(s3_bench.store, s3_bench.resolve(f"s3://{BUCKET}/shown"))
    assert set(pinned) == {"kind", "bucket", "folder", "objects"}
    assert s3.address not in str(pinned)


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("s3://", "INVALID_ARGUMENT", "give s3://bucket/prefix"),
        ("s3://b/x", "INVALID_ARGUMENT", "give s3://bucket/prefix"),
        (f"s3://{BUCKET}/nothing", "INVALID_ARGUMENT", "holds no video"),
        (f"s3://{BUCKET}/sho", "INVALID_ARGUMENT", "holds no video"),
        (f"s3://{BUCKET}/show?endpoint=http://169.254.169.254", "INVALID_ARGUMENT", "s3_endpoint"),
        ("s3://no-such-bucket/x", "FAILED_PRECONDITION", "NoSuchBucket"),
    ],
)
def test_what_cannot_be_had_is_said(s3_bench: Bench, source: str, code: str, said: str) -> None:
    with pytest.raises(StageError, match=said) as refused:
        s3_bench.resolve(source)
    assert refused.value.code.name == code


def test_wrong_keys_no_keys_and_nobody_there_are_told_apart(
    s3_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = Bench(tmp_path, s3_endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StageError, match="did not answer for bucket videos") as away:
        nobody.resolve(f"s3://{BUCKET}/show")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not the secret")
    with pytest.raises(StageError, match="refuses bucket videos: SignatureDoesNotMatch") as wrong:
        s3_bench.resolve(f"s3://{BUCKET}/show")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StageError, match="needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") as without:
        s3_bench.resolve(f"s3://{BUCKET}/show")
    codes = [each.value.code.name for each in (away, wrong, without)]
    assert codes == ["UNAVAILABLE", "FAILED_PRECONDITION", "FAILED_PRECONDITION"]
