"""Files for other programs, in a directory and in a bucket of a real S3 server alike."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kyara_artifacts.folder import Folder, open_folder
from tests.servers.s3 import S3Server, s3_server

LARGE = 17 << 20
"""Bytes of a file that goes to S3 in parts."""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["directory", "bucket"])
def place(
    request: pytest.FixtureRequest, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Folder, Callable[[str], bytes]]:
    """A folder, and how somebody else reads a file of it."""
    if request.param == "directory":
        return open_folder(str(tmp_path / "folder")), lambda name: (tmp_path / "folder" / name).read_bytes()
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    bucket = tmp_path.name.replace("_", "-")[-40:].strip("-")
    return open_folder(s3.url(bucket, "deep/down")), lambda name: s3.client().get_object(bucket, f"deep/down/{name}").read()


def test_a_file_is_written_once_until_it_changes(place: tuple[Folder, Callable[[str], bytes]], tmp_path: Path) -> None:
    folder, read = place
    large = tmp_path / "large"
    large.write_bytes(b"a" * LARGE)
    for name, data in (("model/1/model.onnx", large), ("model/config.pbtxt", b"name")):
        assert folder.write(name, data)
        assert not folder.write(name, data)
    assert folder.write("model/config.pbtxt", b"eman")
    large.write_bytes(b"a" * (LARGE - 1) + b"b")
    assert folder.write("model/1/model.onnx", large)
    assert read("model/1/model.onnx") == large.read_bytes()
    assert read("model/config.pbtxt") == b"eman"


def test_another_scheme_and_missing_keys_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(ValueError, match="give a folder, or s3://"):
        open_folder("gs://bucket/prefix")
    with pytest.raises(ValueError, match="AWS_ACCESS_KEY_ID"):
        open_folder("s3://bucket/prefix")
