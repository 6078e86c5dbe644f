"""Kill -9 each part once in the middle of its work: the job ends, with the same digests as an undisturbed one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from kyara_miniature.episode import make_episode
from kyara_miniature.pictures import make_pictures
from services.crawler.tests.booru_sites import BooruSite, Offer, serving
from tests.servers.kyara import Kyara, kyara_up, outputs_of, wait_for

TAG = "char_hana_(demo)"
STEPS = 100
"""Of the training: so many that it is still at work when it is killed."""
UNDER_WAY = 3
"""Pictures that may be on their way when the crawler is killed."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(460)]


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("episode") / "episode.mkv"
    make_episode(path, 12, seconds=40, main=2, width=960, height=540)
    return path


def arguments(episode: Path, folder: Path) -> list[str]:
    recipe = episode.with_name("long-enough.yaml")
    recipe.write_text(f"extends: miniature-quick\ntraining: {{steps: {{rule: fixed, steps: {STEPS}}}}}\n")
    return [
        *("video", str(episode), "--name", "chaos", "--recipe", str(recipe)),
        *("--max-characters", "1", "--publish", str(folder)),
    ]


def test_killing_every_part_once_changes_nothing(episode: Path, tmp_path: Path) -> None:
    with kyara_up(tmp_path / "calm") as kyara:
        calm = kyara.ended(kyara.submit(*arguments(episode, tmp_path / "calm-out")))
        assert calm["state"] == "JOB_STATE_SUCCEEDED", calm.get("error")
    with kyara_up(tmp_path / "chaos") as kyara:
        job_id = kyara.submit(*arguments(episode, tmp_path / "chaos-out"))
        kill_while(kyara, job_id, "keyframer", lambda: kyara.kill("keyframer"))
        kill_while(kyara, job_id, "detector", lambda: kyara.kill("jobs"))
        kill_while(kyara, job_id, "curator.clean", lambda: kyara.kill("temporal"))
        kill_while(kyara, job_id, "clusterer", lambda: kyara.kill("clusterer"))
        # The worker first: its work goes on without the trainer's server, and might be done when that is back.
        kill_while(kyara, job_id, "trainer", kyara.kill_ray_worker, steps=4)
        kill_while(kyara, job_id, "trainer", lambda: kyara.kill("trainer"))
        stormy = kyara.ended(job_id)
    assert stormy["state"] == "JOB_STATE_SUCCEEDED", stormy.get("error")
    assert outputs_of(stormy) == outputs_of(calm)


def test_killing_the_crawler_and_the_curator_changes_nothing(tmp_path: Path) -> None:
    make_pictures(tmp_path / "drawn", 5, count=16)
    drawn = [path.read_bytes() for path in sorted((tmp_path / "drawn").glob("*.png"))]
    site = BooruSite("danbooru", [Offer(number, TAG, data=data) for number, data in enumerate(drawn, 1)])
    with serving(site), pytest.MonkeyPatch.context() as patch:
        known = tmp_path / "sites.yaml"
        known.write_text(yaml.safe_dump({"sites": [{"name": "one", "family": "danbooru", "url": site.url, "per_second": 2}]}))
        patch.setenv("KYARA_CRAWLER_SITES", str(known))
        crawl = ("character", "char hana (demo)", "--recipe", "miniature-quick", "--publish")
        with kyara_up(tmp_path / "calm") as kyara:
            calm = kyara.ended(kyara.submit(*crawl, str(tmp_path / "calm-out")))
            assert calm["state"] == "JOB_STATE_SUCCEEDED", calm.get("error")
        site.asked.clear()
        with kyara_up(tmp_path / "chaos") as kyara:
            job_id = kyara.submit(*crawl, str(tmp_path / "chaos-out"))
            kill_while(kyara, job_id, "crawler.collect", lambda: kyara.kill("crawler"), steps=4)
            kill_while(kyara, job_id, "curator.web", lambda: kyara.kill("curator"))
            stormy = kyara.ended(job_id)
    assert stormy["state"] == "JOB_STATE_SUCCEEDED", stormy.get("error")
    assert outputs_of(stormy) == outputs_of(calm)
    assert len(site.files_asked()) <= len(drawn) + UNDER_WAY, "nothing that had come is fetched again"


def kill_while(kyara: Kyara, job_id: str, stage: str, kill: Callable[[], None], steps: int = 0) -> None:
    """Kill when `stage` is seen at work, having done at least `steps`."""
    job: dict = {}

    def at_work() -> bool:
        nonlocal job
        shown = kyara.cli("show", job_id, "--json")
        if shown.returncode:  # jobs itself was killed a moment ago
            return False
        job = json.loads(shown.stdout)
        running = [each for each in job["stages"] if each["stage"] == stage and each["state"] == "JOB_STATE_RUNNING"]
        return any(int(each.get("progress", {}).get("done", 0)) >= steps for each in running)

    wait_for(at_work, 200)
    kill()
