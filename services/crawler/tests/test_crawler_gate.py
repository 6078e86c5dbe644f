"""What gallery-dl may do while it lists: only what leads to the site's own hosts, in turn, and no longer than somebody reads."""

import hashlib
import json
import os
import ssl
from dataclasses import replace
from itertools import pairwise

import psutil
import pytest
import trustme

from kyara_crawler.sites import Site
from kyara_stage import StageError
from services.crawler.tests.booru_sites import Fault, Offer, png
from services.crawler.tests.crawl_world import TAG, World, offers
from services.crawler.tests.gallery_sites import PhilomenaSite, ShimmieSite

ENGINES = {"philomena": (PhilomenaSite, "Char Miku"), "shimmie2": (ShimmieSite, TAG)}


def add(world: World, site: PhilomenaSite | ShimmieSite, **more: object) -> None:
    world.add("one", site, **more)
    world.more["one"] |= {**site.entry(), **more}


def philomena(world: World, listed: list[Offer], **more: object) -> PhilomenaSite:
    site = PhilomenaSite(listed)
    add(world, site, **more)
    return site


def listers() -> list[psutil.Process]:
    """gallery-dl's processes that are still there."""
    return [each for each in psutil.Process(os.getpid()).children(recursive=True) if "gallery_dl" in " ".join(each.cmdline())]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_name_becomes_the_pictures_that_a_site_has_of_it(world: World, engine: str) -> None:
    kind, tag = ENGINES[engine]
    site = kind([*offers(1, 2, 3), *offers(4, tags="char_rin")])
    add(world, site)
    crawled = world.crawl()
    assert crawled.names == ["one-1", "one-2", "one-3"]
    assert crawled.sites["one"] | {"state": "ok", "tag": tag, "fetched": 3} == crawled.sites["one"]
    for image, number in zip(crawled.images, (1, 2, 3), strict=True):
        post = crawled.images.meta["posts"][image.name]
        assert post["md5"] == hashlib.md5(png(number)).hexdigest() if engine == "shimmie2" else "char miku" in post["tags"]
        assert image.source.startswith(site.url) and image.source.endswith(f"/{number}")


@pytest.mark.parametrize("engine", ENGINES)
def test_pages_are_turned_until_there_is_enough_and_then_nothing_runs_on(world: World, engine: str) -> None:
    site = ENGINES[engine][0](offers(*range(1, 131)))
    add(world, site)
    assert len(world.crawl(limit=3).images) == 3
    assert listers() == []
    assert len(set(world.crawl(limit=1000).names)) == 130
    assert listers() == []
    agents = {headers["User-Agent"] for _, _, headers in site.asked}
    assert all(agent.startswith("kyara-crawler/") for agent in agents)


def test_only_what_is_rated_as_asked_is_fetched(world: World) -> None:
    site = philomena(world, [*offers(1), *offers(2, rating="sensitive"), *offers(3, rating="explicit")])
    assert world.crawl().names == ["one-1"]
    assert site.files_asked() == ["/data/1.png"]


def test_what_has_no_rating_counts_as_explicit_unless_its_site_says_otherwise(world: World) -> None:
    add(world, ShimmieSite(offers(1)), unrated="explicit")
    with pytest.raises(StageError, match="rated explicit"):
        world.crawl()
    assert world.crawl(ratings=["explicit"]).names == ["one-1"]


def test_a_name_that_no_tag_has_is_told_with_what_was_tried(world: World) -> None:
    philomena(world, offers(1))
    with pytest.raises(StageError, match="Megurine Luka, Luka Megurine") as refused:
        world.crawl("Megurine Luka")
    assert refused.value.code.name == "FAILED_PRECONDITION"


@pytest.mark.parametrize("name", ["--exec=touch pwned", "../../etc", "a'; import os #{tag}", "char_miku?q=1#x", "%2e%2e/%00"])
def test_a_name_is_only_ever_a_tag(world: World, name: str) -> None:
    """It is no option, no path, no program, and no other query."""
    site = philomena(world, offers(1))
    with pytest.raises(StageError, match="no character tag"):
        world.crawl(name)
    assert {path for _, path, _ in site.asked} == {"/api/v1/json/search/images"}


API = "/api/v1"
FAULTS = {
    "500": (Fault(status=500), "500 Internal Server Error"),
    "403": (Fault(status=403), "it wants a login; give one in the settings (logins.one)"),
    "429 that lasts": (Fault(status=429), "lists nothing for 5 s; the site is slow, or asks to wait"),
    "slow drip": (Fault(slow_s=3), "lists nothing for 5 s"),
    "cut short": (Fault(cut=True), "Connection broken"),
    "HTML for JSON": (Fault(body=b"<html>please log in</html>"), "JSONDecodeError"),
    "another form of JSON": (Fault(body=b'{"results": []}'), "KeyError"),
    "nothing": (Fault(body=b'{"images": [], "total": 0}'), "shows nothing for '1girl'; it has changed, or wants a login"),
    "a redirect to another host": (
        Fault(status=302, headers={"Location": "http://localhost:9/latest/meta-data"}),
        "localhost is at none of the hosts 127.0.0.1",
    ),
    "an answer without end": (Fault(body=b" " * (2 << 20)), "answers are larger than the 1048576 bytes allowed"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_site_that_fails_is_told_of_and_ends_no_crawl(world: World, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setattr("kyara_crawler.families.gallery_dl.MOST_LIST_BYTES", 1 << 20)
    world.settings |= {"within_s": 1, "longest_wait_s": 1}
    what, told = FAULTS[fault]
    philomena(world, offers(1, 2)).faults[API] = replace(what)
    world.site("two", "moebooru", offers(3))
    crawled = world.crawl()
    assert crawled.names == ["two-3"]
    assert crawled.sites["one"]["state"] == "failed"
    assert told in crawled.sites["one"]["said"]
    assert listers() == []


def test_a_site_that_fails_midway_gives_what_it_gave_so_far(world: World) -> None:
    site = philomena(world, offers(*range(1, 131)))
    site.sound_pages = 1
    crawled = world.crawl(limit=1000)
    assert len(crawled.images) == 50
    assert crawled.sites["one"]["state"] == "failed" and "500" in crawled.sites["one"]["said"]


@pytest.mark.parametrize("key", ["id", "tags", "representations"])
def test_a_key_that_has_another_name_shows(world: World, key: str) -> None:
    site = philomena(world, offers(1))
    site.rename = {key: f"new_{key}", "view_url": "new_view_url"} if key == "representations" else {key: f"new_{key}"}
    with pytest.raises(StageError, match=r"without its id|shows nothing|KeyError|rated explicit"):
        world.crawl()
    assert site.files_asked() == []


def test_a_link_to_an_internal_address_is_not_followed(world: World) -> None:
    philomena(world, [*offers(1), *offers(2, file_url="http://169.254.169.254/latest/a.png")])
    crawled = world.crawl()
    assert crawled.names == ["one-1"] and "at none of the hosts" in crawled.rejected["one-2"]


def test_a_site_at_an_address_that_is_not_public_is_not_asked(world: World) -> None:
    site = philomena(world, offers(1))
    world.settings["allow_private"] = False
    with pytest.raises(StageError, match=r"127\.0\.0\.1, which is no public address"):
        world.crawl()
    assert site.asked == []


def test_a_login_goes_to_its_site_and_into_no_error(world: World) -> None:
    world.settings |= {"logins": {"one": {"api_key": "hunter2"}}}
    site = philomena(world, offers(1))
    world.site("two", "moebooru", offers(3))
    assert "one-1" in world.crawl().names
    assert site.keys == {"hunter2"}
    site.faults[API] = Fault(status=500)
    assert "hunter2" not in json.dumps(world.crawl().sites)


def test_a_login_that_gallery_dl_does_not_know_is_refused(world: World) -> None:
    world.settings |= {"logins": {"one": {"postprocessors": "exec"}}}
    philomena(world, offers(1))
    with pytest.raises(StageError, match="a login there is made of username"):
        world.crawl()


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_its_requests_wait_for_their_turn(world: World, tls: bool) -> None:
    site = PhilomenaSite([])
    if tls:
        site.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(site.tls)
    add(world, site, per_second=4, gallery_dl={"verify": False})
    pictures = world.site("two", "moebooru", offers(130, tags="char_rin"))
    others = offers(*range(1, 130), rating="explicit")
    site.offers = [*others, *offers(130, file_url=f"{pictures.url}/data/130.png")]
    assert world.crawl().names == ["one-130"]
    asked = [at for at, path, _ in site.asked if path.startswith(API)]
    assert len(asked) == 5, "canary, tag, and three pages"
    assert min(later - earlier for earlier, later in pairwise(asked)) >= 0.2


@pytest.mark.parametrize(
    "search", ["https://lolibooru.moe/post?tags={tag}", "lolibooru.moe/{tag}", "https://one.example.org/all"]
)
def test_a_search_elsewhere_than_on_the_site_cannot_be_added(search: str) -> None:
    with pytest.raises(ValueError, match="must be a link below"):
        Site(name="one", family="gallery-dl", url="https://one.example.org", search=search)
