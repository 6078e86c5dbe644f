"""Kill -9 each stage's server once in the middle of a season: the job ends, with the same digests as an undisturbed one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from kyara_miniature.episode import make_episode
from services.fetcher.tests.fetcher_swarm import Peer, torrent_of
from tests.servers.kyara import Kyara, kyara_up, outputs_of, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

KILLED = {
    "fetcher": "fetcher.fetch",
    "keyframer": "keyframer",
    "detector": "detector",
    "curator": "curator.clean",
    "embedder": "embedder",
    "clusterer": "clusterer",
    "publisher": "publisher.dataset",
}
"""Each server, in the order of their work, and what it is killed at."""
BYTES_PER_S = 200_000
"""Of the seeder: a link as slow as a stranger's, so that there is a middle of the download."""


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A magnet link to the first episode, and the second one as a file."""
    folder = tmp_path_factory.mktemp("season")
    for number in (1, 2):
        make_episode(folder / f"e{number}.mkv", 20 + number, seconds=30, main=2, width=960, height=540)
    torrent, peer = torrent_of(folder / "e1.mkv"), Peer()
    peer.seed(torrent, folder, bytes_per_s=BYTES_PER_S)
    yield [f"{lt.make_magnet_uri(lt.load_torrent_buffer(torrent))}&x.pe={peer.address}", str(folder / "e2.mkv")]
    peer.session.pause()


def submit(kyara: Kyara, season: list[str], folder: Path) -> str:
    options = ["--name", "season", "--recipe", "miniature-quick", "--max-characters", "1", "--publish", str(folder)]
    return kyara.submit("video", *season, *options)


def test_killing_every_stage_s_server_once_changes_nothing(season: list[str], tmp_path: Path) -> None:
    with kyara_up(tmp_path / "calm") as kyara:
        calm = kyara.ended(submit(kyara, season, tmp_path / "calm-out"), 600)
    assert calm["state"] == "JOB_STATE_SUCCEEDED", calm.get("error")
    with kyara_up(tmp_path / "chaos") as kyara:
        job_id = submit(kyara, season, tmp_path / "chaos-out")
        for program, stage in KILLED.items():
            third = seconds_of(calm, stage) / 3
            wait_for(lambda program=program, third=third: kyara.works_for_s(program) > third, 300)
            kyara.kill(program)
        stormy = kyara.ended(job_id, 600)
    assert stormy["state"] == "JOB_STATE_SUCCEEDED", stormy.get("error")
    assert KILLED.keys() == {program for program in KILLED if tried_again(stormy, program)}
    assert outputs_of(stormy) == outputs_of(calm)


def seconds_of(job: dict[str, Any], stage: str) -> float:
    """How long a stage worked, at the longest."""
    return max(each["seconds"] for each in job["stages"] if each["stage"] == stage)


def tried_again(job: dict[str, Any], program: str) -> bool:
    """Whether some work of a server needed more than one attempt."""
    return any(each["attempt"] > 1 for each in job["stages"] if each["stage"].partition(".")[0] == program)
