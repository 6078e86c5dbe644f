"""Wrong input gets a sentence and an exit code (the table in docs/errors.md), and nothing is lost."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from kyara_miniature.pictures import make_pictures
from tests.servers.kyara import Kyara, kyara_up

QUICK = ("--recipe", "miniature-quick")


def submit(kyara: Kyara, *arguments: str) -> tuple[int, str]:
    """Exit code of a watched job, and what was said."""
    done = kyara.cli("submit", *arguments)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def empty_episode(path: Path) -> Path:
    """A video of moving colours with nobody in it."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        ramp = np.linspace(0, 120, 320, dtype=np.uint8)
        for number in range(96):
            picture = np.stack([np.tile(np.roll(ramp, number), (180, 1))] * 3, axis=2) + np.array([60, 20, 0], np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    return path


def test_a_text_file_as_video(kyara: Kyara, tmp_path: Path) -> None:
    (tmp_path / "episode.mkv").write_text("this is no video\n" * 100)
    code, said = submit(kyara, "video", str(tmp_path / "episode.mkv"), *QUICK)
    assert code == 2
    assert "not a video" in said


def test_an_episode_without_figures(kyara: Kyara, tmp_path: Path) -> None:
    code, said = submit(kyara, "video", str(empty_episode(tmp_path / "empty.mkv")), *QUICK)
    assert code == 8
    assert "FAILED_PRECONDITION" in said


def test_a_magnet_link_that_nobody_seeds(kyara: Kyara) -> None:
    code, said = submit(kyara, "video", f"magnet:?xt=urn:btih:{'0123456789' * 4}", *QUICK)
    assert code == 8
    assert "seed" in said


def test_an_unknown_recipe(kyara: Kyara, episode: Path) -> None:
    code, said = submit(kyara, "video", str(episode), "--recipe", "v9")
    assert code == 2
    assert "'v9'" in said
    assert "miniature" in said


def test_a_source_that_is_not_there(kyara: Kyara) -> None:
    code, said = submit(kyara, "video", "/nowhere/episode.mkv", *QUICK)
    assert code == 2
    assert "/nowhere/episode.mkv" in said


def test_an_unknown_job(kyara: Kyara) -> None:
    assert kyara.cli("show", "job-of-nobody").returncode == 7


def test_nobody_answers() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "kyara"), "jobs", "--address", "127.0.0.1:9"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6
    assert "kyara up" in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a few pictures."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_in_the_store(tmp_path: Path, small_disk: Path) -> None:
    make_pictures(tmp_path / "pictures", 5, count=16)
    with kyara_up(tmp_path / "state", f"file://{small_disk}") as kyara:
        code, said = submit(kyara, "character", str(tmp_path / "pictures"), *QUICK)
    assert code == 11
    assert "no room" in said
