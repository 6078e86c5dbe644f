"""A character's name to pictures, over sites of every family."""

import hashlib
import json

import pytest

from kyara.crawler.v1.crawler_pb2 import CollectParams, ResolveParams, WebSource
from kyara_artifacts import ImageSet
from kyara_stage import StageError
from kyara_stage.testing import run_operation
from services.crawler.tests.booru_sites import FAMILIES, Fault, Offer, png
from services.crawler.tests.crawl_world import COLLECT, NAME, RESOLVE, TAG, World, offers


@pytest.mark.parametrize("family", FAMILIES)
def test_a_name_becomes_the_pictures_that_a_site_has_of_it(world: World, family: str) -> None:
    site = world.site("one", family, [*offers(1, 2, 3), *offers(4, 5, tags="char_rin")])
    crawled = world.crawl()
    assert crawled.names == ["one-1", "one-2", "one-3"]
    assert crawled.rejected == {}
    assert crawled.sites["one"] | {"state": "ok", "tag": TAG, "fetched": 3} == crawled.sites["one"]
    for image, number in zip(crawled.images, (1, 2, 3), strict=True):
        assert (image.width, image.height) == (40, 30)
        post = crawled.images.meta["posts"][image.name]
        assert post["md5"] == hashlib.md5(png(number)).hexdigest() and TAG in post["tags"]
        assert image.source.startswith(site.url) and str(number) in image.source


@pytest.mark.parametrize("family", FAMILIES)
def test_pages_are_turned_until_there_is_enough(world: World, family: str) -> None:
    world.site("one", family, offers(*range(1, 251)))
    assert len(world.crawl(limit=3).images) == 3
    crawled = world.crawl(limit=1000)
    assert len(crawled.images) == len(set(crawled.names)) == 250


@pytest.mark.parametrize("family", FAMILIES)
def test_only_what_is_rated_as_asked_is_fetched(world: World, family: str) -> None:
    site = world.site("one", family, [*offers(1), *offers(2, rating="questionable"), *offers(3, rating="explicit")])
    assert world.crawl().names == ["one-1"]
    assert site.files_asked() == ["/data/1.png"]
    assert sorted(world.crawl(ratings=["general", "explicit"]).names) == ["one-1", "one-3"]


def test_a_rating_that_nobody_knows_is_as_bad_as_can_be(world: World) -> None:
    world.site("one", "gelbooru", [*offers(1), *offers(2)], ratings={"general": "sensitive"})
    with pytest.raises(StageError, match="rated sensitive"):
        world.crawl()
    world.site("one", "danbooru", offers(1)).rename = {"rating": "old"}
    with pytest.raises(StageError, match=r"answers otherwise than documented: .*rating"):
        world.crawl()


@pytest.mark.parametrize("family", ["danbooru", "e621", "szurubooru"])
def test_an_alias_leads_to_the_tag(world: World, family: str) -> None:
    world.site("one", family, offers(1, 2), aliases={"miku_(vocaloid)": TAG})
    crawled = world.crawl("Miku (Vocaloid)")
    assert (crawled.sites["one"]["tag"], len(crawled.images)) == (TAG, 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_name_that_no_tag_has_is_told_with_what_was_tried(world: World, family: str) -> None:
    world.site("one", family, offers(1))
    with pytest.raises(StageError, match="luka_megurine") as refused:
        world.crawl("Megurine Luka")
    assert refused.value.code.name == "FAILED_PRECONDITION" and "give the site's own tag" in str(refused.value)


def test_a_tag_that_is_no_characters_is_not_taken_for_one_unless_somebody_says_so(world: World) -> None:
    world.site("one", "danbooru", offers(1, tags="miku_(album)"))
    with pytest.raises(StageError, match="no character tag"):
        world.crawl("miku (album)")
    assert world.crawl("miku (album)", tags={"one": "miku_(album)"}).names == ["one-1"]


def test_sites_take_turns_and_none_gives_more_than_it_may(world: World) -> None:
    world.site("one", "danbooru", offers(*range(1, 51)), most=4)
    world.site("two", "moebooru", offers(*range(101, 151)))
    world.site("three", "e621", offers(201))
    crawled = world.crawl(limit=12)
    assert crawled.names[:5] == ["one-1", "two-101", "three-201", "one-2", "two-102"]
    assert [crawled.sites[name]["fetched"] for name in ("one", "two", "three")] == [4, 7, 1]


def test_the_same_picture_is_fetched_once_wherever_it_is(world: World) -> None:
    one = world.site("one", "danbooru", offers(1, 2))
    source = "https://i.example.org/img/2024/99_p0.png"
    two = world.site("two", "gelbooru", [*offers(1), *offers(7, source=source), *offers(8)])
    world.site("three", "moebooru", [*offers(9, source=source), *offers(10)])
    crawled = world.crawl()
    assert "/data/1.png" in one.files_asked() and "/data/1.png" not in two.files_asked(), "MD5"
    assert len({"two-7", "three-9"} & set(crawled.names)) == 1, "the file that it comes from"
    assert len(crawled.images) == 5
    assert sum(row["left_out"].get("there already", 0) for row in crawled.sites.values()) == 2


@pytest.mark.parametrize("family", ["danbooru", "moebooru", "gelbooru", "e621"])
def test_versions_of_one_picture_come_after_all_others(world: World, family: str) -> None:
    posts = [*offers(1), *offers(2, 3, parent=1), *offers(4, 5)]
    world.site("one", family, posts)
    assert world.crawl(limit=4).names == ["one-1", "one-4", "one-5", "one-2"]


def test_pictures_that_turn_out_to_be_the_same_are_kept_once(world: World) -> None:
    world.site("one", "danbooru", [*offers(1), Offer(2, TAG, data=png(1) + b"\0", md5="")])
    assert world.crawl().rejected == {"one-2": "the same picture as one-1"}


def test_links_are_a_source_of_their_own(world: World) -> None:
    site = world.site("one", "danbooru", offers(1, 2))
    crawled = world.crawl("", urls=[f"{site.url}/data/2.png", f"{site.url}/data/9.png"])
    assert len(crawled.images) == 1 and crawled.names[0].startswith("links-")
    assert "404" in next(iter(crawled.rejected.values()))
    assert all(path.startswith("/data") for _, path, _ in site.asked), "no site was asked for a name"


def test_another_attempt_fetches_nothing_twice(world: World) -> None:
    site = world.site("one", "danbooru", [*offers(*range(1, 9)), Offer(20, TAG, data=b"<html>", md5="")])
    world.settings["downloads"] = 1
    pinned, _ = run_operation(RESOLVE, ResolveParams(web=WebSource(name=NAME)), {}, world.store, world.crawler())
    site.faults["/data/5.png"] = Fault(cut=True)
    world.settings["within_s"] = 0.5
    first, rejected = run_operation(COLLECT, CollectParams(), pinned, world.store, world.crawler())
    assert [each["item"] for each in rejected] == ["one-5", "one-20"]
    site.faults.clear()
    site.asked.clear()
    again, _ = run_operation(COLLECT, CollectParams(), pinned, world.store, world.crawler())
    assert site.files_asked() == ["/data/5.png"], "only what was away is asked for again"
    assert len(ImageSet.load(world.store, again["images"])) == 8 == len(ImageSet.load(world.store, first["images"])) + 1


def test_who_asks_says_so(world: World) -> None:
    world.settings["contact"] = "someone@example.org"
    site = world.site("one", "danbooru", offers(1))
    world.crawl()
    agents = {headers["User-Agent"] for _, _, headers in site.asked}
    (agent,) = agents
    assert agent.startswith("kyara-crawler/") and "someone@example.org" in agent


def test_a_login_goes_to_its_site_and_into_no_error(world: World) -> None:
    world.settings["logins"] = {"one": {"login": "aya", "api_key": "hunter2"}, "two": {"user_id": "7", "api_key": "hunter3"}}
    one, two = world.site("one", "danbooru", offers(1)), world.site("two", "gelbooru", offers(2))
    world.crawl()
    assert all("Authorization" in headers for _, path, headers in one.asked if not path.startswith("/data"))
    assert not any("Authorization" in headers for _, path, headers in one.asked if path.startswith("/data"))
    two.faults["/index.php"] = Fault(status=403)
    told = json.dumps(world.crawl().sites)
    assert "login" in told and "hunter" not in told


@pytest.mark.parametrize("site", ["https://lolibooru.moe", "https://booru.allthefallen.moe", "https://tbib.org"])
def test_refused_sites_cannot_be_added(world: World, site: str) -> None:
    world.site("one", "moebooru", offers(1), url=site)
    with pytest.raises(StageError, match="is refused"):
        world.crawl()


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"name": ""}, "name a character"),
        ({"limit": -1}, "web.limit"),
        ({"ratings": ["safe"]}, "no rating 'safe'; there are general"),
        ({"sites": ["nowhere"]}, "no site 'nowhere'; there are one"),
        ({"urls": ["ftp://example.org/a.png"]}, "no http or https link"),
    ],
)
def test_what_makes_no_sense_is_told(world: World, asked: dict, why: str) -> None:
    world.site("one", "danbooru", offers(1))
    with pytest.raises(StageError, match=why) as refused:
        world.crawl(**asked)
    assert refused.value.code.name == "INVALID_ARGUMENT"
