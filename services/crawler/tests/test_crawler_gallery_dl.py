"""Sites that gallery-dl lists, with the real one, pointed at a site on loopback."""

import os
import threading
import time
from pathlib import Path

import psutil
import pytest

from kyara_crawler.sites import known_sites
from kyara_stage import StageError
from services.crawler.tests.booru_sites import BooruSite, Fault
from services.crawler.tests.crawl_world import World, offers

SAFE = {"s": "general", "q": "questionable", "e": "explicit"}


def listed(world: World, *numbers: int, **more: object) -> BooruSite:
    """A site that gallery-dl is told of as a Moebooru of ours."""
    site = world.site("one", "moebooru", offers(*numbers), ratings=SAFE, **more)
    world.more["one"] |= {
        "family": "gallery-dl",
        "search": f"{site.url}/post?tags={{tag}}",
        "page": f"{site.url}/post/show/{{id}}",
        "gallery_dl": {"moebooru": {"local": {"root": site.url}}},
    }
    return site


def test_a_name_becomes_the_pictures_that_are_listed(world: World) -> None:
    world.settings["contact"] = "someone@example.org"
    site = listed(world, *range(1, 131))
    site.offers[1].rating = "explicit"
    crawled = world.crawl(limit=115)
    assert len(crawled.names) == 115 and crawled.names[:3] == ["one-1", "one-3", "one-4"]
    assert crawled.sites["one"]["left_out"]["rated explicit"] == 1
    post = crawled.images.meta["posts"]["one-1"]
    assert post["page"] == f"{site.url}/post/show/1" and "char_miku" in post["tags"]
    agents = {headers["User-Agent"] for _, _, headers in site.asked}
    assert len(agents) == 1 and "kyara-crawler" in agents.pop(), "no browser's name"
    assert len(site.files_asked()) == 115, "it fetches nothing itself"


def test_what_fails_there_is_told(world: World) -> None:
    site = listed(world, 1)
    site.faults["/post.json"] = Fault(status=403)
    with pytest.raises(StageError, match="403 Forbidden"):
        world.crawl()
    site.faults["/post.json"] = Fault(body=b"[]")
    with pytest.raises(StageError, match="shows nothing for '1girl'; it has changed, or wants a login"):
        world.crawl()


def test_a_name_without_posts_is_unresolved(world: World) -> None:
    listed(world, 1)
    with pytest.raises(StageError, match="no character tag among: luka_megurine, megurine_luka"):
        world.crawl("luka megurine")


def test_pictures_without_a_rating_are_as_bad_as_can_be_unless_the_site_says_otherwise(world: World) -> None:
    site = listed(world, 1)
    world.more["one"]["rating_key"] = "nothing"
    with pytest.raises(StageError, match="rated explicit"):
        world.crawl()
    world.more["one"]["unrated"] = "general"
    assert world.crawl().names == ["one-1"]
    assert site.files_asked()


def test_the_rate_holds_while_it_lists(world: World) -> None:
    site = listed(world, *range(1, 8), per_second=2)
    world.crawl(limit=1)
    times = [at for at, _, _ in site.asked]
    assert all(times[n + 3] - times[n] > 0.9 for n in range(len(times) - 3)), "no second with more than two, and one at its edge"


def test_a_login_is_in_no_command_line_and_no_file_stays(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    world.settings["logins"] = {"one": {"username": "aya", "password": "hunter2"}}
    site = listed(world, 1)
    site.faults["/post.json"] = Fault(slow_s=0.2, times=2)
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for process in psutil.Process(os.getpid()).children(recursive=True):
                try:
                    seen.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue
            time.sleep(0.02)

    watching = threading.Thread(target=look)
    watching.start()
    world.crawl()
    done.set()
    watching.join()
    assert any("gallery_dl" in command for command in seen) and not any("hunter2" in command for command in seen)
    assert not [path for path in tmp_path.glob("kyara-*") if path.name != "kyara-rates"]


def test_at_least_sixteen_sites_are_known_and_every_one_makes_sense() -> None:
    sites = known_sites(None)
    assert len(sites) >= 16
    for site in sites.values():
        assert site.url.startswith("https://") and site.per_second <= 1
        if site.family == "gallery-dl":
            assert "{tag}" in site.search and "{id}" in site.page
    assert {site.name for site in sites.values() if site.asked} >= {"danbooru", "safebooru", "zerochan"}


@pytest.mark.parametrize(
    "site", [site for site in known_sites(None).values() if site.family == "gallery-dl"], ids=lambda site: site.name
)
def test_gallery_dl_has_an_extractor_for_the_search_of_every_site(site) -> None:
    """Asked as a program: it is never imported."""
    import subprocess
    import sys

    link = site.search.replace("{tag}", "Hatsune%20Miku")
    code = "import sys; from gallery_dl import extractor; sys.exit(0 if extractor.find(sys.argv[1]) else 1)"
    assert subprocess.run([sys.executable, "-c", code, link], check=False).returncode == 0, link
