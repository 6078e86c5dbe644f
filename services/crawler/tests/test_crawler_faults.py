"""What goes wrong out there: one bad picture is set aside, one bad site is told of, and neither ends a crawl."""

import io
import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import PIL.Image
import pytest

from kyara_stage import StageError
from services.crawler.tests.booru_sites import FAMILIES, Fault, Offer, png
from services.crawler.tests.crawl_world import NAME, TAG, World, offers
from tests.servers.processes import free_port


def jpeg() -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (40, 30), "red").save(buffer, "JPEG")
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG that says it has 100,000 x 100,000 px."""
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png(1)[33:]


PICTURES: dict[str, tuple[Callable[[World], Fault | Offer], str]] = {
    "500": (lambda _: Fault(status=500), "answers 500"),
    "slow drip": (lambda _: Fault(slow_s=0.3), "did not answer whole within"),
    "cut short": (lambda _: Fault(cut=True), "cannot be read"),
    "half a PNG of the length that is said": (lambda _: Offer(2, TAG, data=png(2)[:600]), "cannot be decoded"),
    "other bytes than the site says": (lambda _: Fault(body=png(77)), "its bytes are not those that one speaks of"),
    "HTML as a picture": (lambda _: Offer(2, TAG, data=b"<html>please log in</html>"), "begins like no picture"),
    "a bomb": (lambda _: Offer(2, TAG, data=bomb()), "exceeds limit of"),
    "larger than allowed": (lambda _: Offer(2, TAG, data=png(2) + bytes(200_000)), "is larger than the 100000 bytes allowed"),
    "gone": (lambda _: Fault(status=404), "answers 404"),
    "a redirect to another host": (
        lambda world: Fault(
            status=302, headers={"Location": world.sites["two"].url.replace("127.0.0.1", "localhost") + "/data/9.png"}
        ),
        "is at none of the hosts",
    ),
    "a redirect to a file": (
        lambda _: Fault(status=302, headers={"Location": "file:///etc/passwd"}),
        "is neither http nor https",
    ),
    "redirects without end": (lambda _: Fault(status=302, headers={"Location": "/data/2.png"}), "redirects more than 5 times"),
    "a link to an internal address": (
        lambda _: Offer(2, TAG, file_url="http://169.254.169.254/latest/a.png"),
        "at none of the hosts",
    ),
    "a link to this machine's files": (lambda _: Offer(2, TAG, file_url="file:///etc/passwd.png"), "at none of the hosts"),
}


@pytest.mark.parametrize("what", PICTURES)
def test_one_bad_picture_is_set_aside_with_its_reason(world: World, what: str) -> None:
    world.settings |= {"within_s": 1, "longest_wait_s": 2, "max_file_bytes": 100_000}
    two = world.site("two", "moebooru", offers(9, tags="char_rin"))
    site = world.site("one", "danbooru", offers(1, 2, 3))
    make, reason = PICTURES[what]
    bad = make(world)
    if isinstance(bad, Fault):
        site.faults["/data/2.png"] = bad
    else:
        site.offers[1] = bad
    crawled = world.crawl()
    assert crawled.names == ["one-1", "one-3"]
    assert reason in crawled.rejected["one-2"]
    assert two.files_asked() == []


SITES: dict[str, tuple[Callable[[], Fault], str]] = {
    "500": (lambda: Fault(status=500), "answers 500"),
    "429 that lasts": (lambda: Fault(status=429, headers={"Retry-After": "3600"}), "asks to come back in 3600 s only"),
    "slow drip": (lambda: Fault(slow_s=0.3, body=b" " * 20_000), "did not answer whole within"),
    "cut short": (lambda: Fault(cut=True), "cannot be read"),
    "login required": (lambda: Fault(status=401), "it wants a login; give one in the settings (logins.bad)"),
    "a page instead of data": (lambda: Fault(body=b"<html>please log in</html>"), "it wants a login, or has changed"),
    "half of the JSON": (lambda: Fault(body=b'[{"id": 1, '), "answers no JSON"),
    "another form": (lambda: Fault(body=b'[{"nothing": "of this"}]'), "answers otherwise than documented"),
    "nothing": (lambda: Fault(body=b"[]"), "shows nothing for '1girl'"),
}
ANSWERS = {
    "danbooru": "/posts.json",
    "moebooru": "/post.json",
    "gelbooru": "/index.php",
    "e621": "/posts.json",
    "szurubooru": "/api/",
}


EVERYWHERE = ("a page instead of data", "another form", "nothing")
"""Faults that each family finds by itself; the others are found in the one way to the web."""
CASES = [(what, family) for what in SITES for family in FAMILIES if what in EVERYWHERE or family == "danbooru"]


@pytest.mark.parametrize(("what", "family"), CASES)
def test_one_bad_site_is_told_of_and_the_others_go_on(world: World, what: str, family: str) -> None:
    world.settings |= {"within_s": 1, "longest_wait_s": 2}
    world.site("good", "danbooru", offers(1))
    bad = world.site("bad", family, offers(2))
    make, said = SITES[what]
    bad.faults[ANSWERS[family]] = make()
    crawled = world.crawl()
    assert crawled.names == ["good-1"]
    row = crawled.sites["bad"]
    if (what, family) in (
        ("nothing", "szurubooru"),
        ("another form", "e621"),
        ("another form", "szurubooru"),
    ):
        said = "answers otherwise than documented"  # theirs is an object, never a list
    assert row["state"] == "failed" and said in row["said"], row


@pytest.mark.parametrize(
    ("family", "key"), [("danbooru", "id"), ("moebooru", "tags"), ("gelbooru", "id"), ("e621", "file"), ("szurubooru", "safety")]
)
def test_a_key_that_the_site_has_renamed_is_named(world: World, family: str, key: str) -> None:
    world.site("one", family, offers(1)).rename = {key: f"new_{key}"}
    with pytest.raises(StageError, match=f"otherwise than documented: .*{key}: Field required") as refused:
        world.crawl()
    assert refused.value.code.name == "UNAVAILABLE"


@pytest.mark.parametrize("family", ["danbooru", "moebooru", "e621"])
def test_posts_without_links_are_a_matter_of_a_login(world: World, family: str) -> None:
    world.site("one", family, [Offer(1, TAG, file_url=None)])
    with pytest.raises(StageError, match="shows no links to pictures; it wants a login"):
        world.crawl()


def test_a_site_that_is_not_there_ends_nothing(world: World) -> None:
    world.site("good", "danbooru", offers(1))
    world.site("gone", "moebooru", offers(2), url=f"http://127.0.0.1:{free_port()}")
    crawled = world.crawl()
    assert crawled.names == ["good-1"] and crawled.sites["gone"]["state"] == "failed"


def test_a_host_that_fails_again_and_again_is_left_alone(world: World) -> None:
    world.settings |= {"longest_wait_s": 0, "downloads": 1}
    site = world.site("one", "danbooru", offers(*range(1, 20)))
    world.site("two", "moebooru", offers(101))
    site.faults["/data/"] = Fault(status=503, headers={"Retry-After": "9"})
    crawled = world.crawl()
    assert crawled.names == ["two-101"] and len(site.files_asked()) == 5
    assert "left alone after 5 failures in a row" in crawled.rejected["one-19"]


@pytest.mark.parametrize("says_when", ["in seconds", "as a date", "not"])
def test_a_host_that_says_to_come_back_is_asked_again_then(world: World, says_when: str) -> None:
    site = world.site("one", "danbooru", offers(1, 2, 3))
    later = {
        "in seconds": {"Retry-After": "2"},
        "as a date": {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)},
        "not": {},
    }
    site.faults["/posts.json"] = Fault(status=429, headers=later[says_when], times=1)
    assert len(world.crawl().images) == 3
    first, second = [at for at, path, _ in site.asked if path == "/posts.json"][:2]
    assert 0.9 < second - first < 4
    assert not [at for at, _, _ in site.asked if first < at < second], "nobody asks meanwhile"


def test_private_addresses_are_not_asked_by_default(world: World) -> None:
    site = world.site("one", "danbooru", offers(1))
    world.settings["allow_private"] = False
    with pytest.raises(StageError, match="is no public address"):
        world.crawl(NAME)
    with pytest.raises(StageError, match="is no public address"):
        world.crawl("", urls=[f"{site.url}/data/1.png"])
    assert site.asked == []


def test_entities_that_grow_are_not_read(world: World) -> None:
    site = world.site("one", "gelbooru", offers(1))
    laughs = b'<!DOCTYPE tags [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><tags>&b;</tags>'
    world.crawl(tags={"one": TAG})
    site.answer = lambda path, query: (200, laughs) if query.get("s") == "tag" else type(site).answer(site, path, query)  # type: ignore[method-assign]
    with pytest.raises(StageError, match="answers a page for a tag"):
        world.crawl()
