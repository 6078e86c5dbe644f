"""Links to .torrent files: http and https, public addresses, every hop, a size and a time at most, and an honest name."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kyara_fetcher.seed import make_torrent
from kyara_outside import is_public
from kyara_stage import StageError
from services.fetcher.tests.fetcher_bench import Bench
from services.fetcher.tests.fetcher_swarm import film, torrent_of
from services.fetcher.tests.fetcher_web import Web


def refusal(bench: Bench, source: str) -> tuple[str, str]:
    """Code and message."""
    with pytest.raises(StageError) as refused:
        bench.resolve(source)
    return refused.value.code.name, str(refused.value)


def test_a_torrent_link_gives_its_videos(bench, web: Web, tmp_path: Path) -> None:
    data = film(tmp_path / "e01.mkv", 300_000)
    web.files = {"/e01.mkv": data, "/get.php": torrent_of(tmp_path / "e01.mkv", web_seeds=[web.url("/e01.mkv")])}
    web.redirects = {"/old": "/older", "/older": web.url("/get.php?id=7")}
    assert bench.fetch(web.url("/old")) == {"e01.mkv": data}
    assert web.asked[2][1]["User-Agent"] == "Kyara/0.1"


def test_a_torrent_by_link_and_as_a_file_is_the_same_work(bench, web: Web, tmp_path: Path) -> None:
    film(tmp_path / "e01.mkv", 100_000)
    web.files = {"/e01.torrent": make_torrent(tmp_path / "e01.mkv")}
    (tmp_path / "e01.torrent").write_bytes(web.files["/e01.torrent"])
    assert bench.resolve(web.url("/e01.torrent")) == bench.resolve(str(tmp_path / "e01.torrent"))


def test_private_addresses_are_not_asked_by_default(careful_bench: Bench, web: Web) -> None:
    port = web.address.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "0.0.0.0", "2130706433", "[::1]", "[::ffff:127.0.0.1]"):
        code, said = refusal(careful_bench, f"http://{host}:{port}/a.torrent")
        assert (code, "is no public address" in said) == ("INVALID_ARGUMENT", True), said
    assert web.asked == []


REDIRECTED = """
import asyncio, json, subprocess, sys
from kyara_fetcher.outside import get
from kyara_stage import StageError
from services.fetcher.tests.fetcher_web import web_server
for command in ("ip link set lo up", "ip address add 11.0.0.7/32 dev lo"):
    subprocess.run(command.split(), check=True)
def ask(url):
    try:
        return asyncio.run(get(url, most_bytes=100, within_s=5, allow_private=False)).decode()
    except StageError as error:
        return str(error)
with web_server("11.0.0.7") as outside, web_server() as inside:
    outside.files, outside.redirects = {"/file": b"public"}, {"/in": inside.url("/file"), "/same": "/file"}
    inside.files = {"/file": b"secret"}
    print(json.dumps([[ask(outside.url(path)) for path in ("/file", "/same", "/in")], len(inside.asked)]))
"""


def test_a_public_host_cannot_lead_to_a_private_one() -> None:
    """In a network of its own, where a public address is this machine's."""
    apart = ["unshare", "--user", "--map-root-user", "--net"]
    if shutil.which("ip") is None or subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a network of their own")
    command = [*apart, sys.executable, "-c", REDIRECTED]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    (first, second, third), asked = json.loads(ended.stdout)
    assert (first, second) == ("public", "public")
    assert "127.0.0.1 is at 127.0.0.1, which is no public address" in third
    assert asked == 0


def test_a_link_may_lead_nowhere_but_to_http(bench, web: Web) -> None:
    web.redirects = {"/a.torrent": "ftp://example.org/a.torrent", "/b.torrent": "file:///etc/passwd", "/loop": "/loop"}
    assert "neither http nor https" in refusal(bench, web.url("/a.torrent"))[1]
    assert refusal(bench, web.url("/b.torrent"))[0] == "INVALID_ARGUMENT"
    code, said = refusal(bench, web.url("/loop"))
    assert (code, "redirects more than 5 times" in said) == ("INVALID_ARGUMENT", True)
    assert len([path for path, _ in web.asked if path == "/loop"]) == 6


def test_more_than_a_torrent_file_can_be_is_not_read(bench, web: Web) -> None:
    web.files = {"/big.torrent": bytes(11_000_000)}
    assert "is larger than the 10000000 bytes allowed" in refusal(bench, web.url("/big.torrent"))[1]


def test_a_server_that_never_ends_is_left(tmp_path: Path, web: Web) -> None:
    web.endless = {"/slow.torrent"}
    began = time.monotonic()
    code, said = refusal(Bench(tmp_path, link_timeout_s=0.5), web.url("/slow.torrent"))
    assert (code, "within 0.5 s" in said) == ("UNAVAILABLE", True)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "FAILED_PRECONDITION"), (403, "FAILED_PRECONDITION"), (429, "UNAVAILABLE"), (503, "UNAVAILABLE")],
)
def test_what_the_server_answers_is_said(bench, web: Web, status: int, code: str) -> None:
    web.refusals = {"/a.torrent": status}
    ended, said = refusal(bench, web.url("/a.torrent?passkey=secret").replace("://", "://user:password@"))
    assert ended == code
    assert f"/a.torrent answers {status}" in said
    assert "secret" not in said and "password" not in said


def test_a_page_is_no_torrent_and_nobody_there_is_said(bench, web: Web) -> None:
    web.files = {"/login": b"<html>please log in</html>"}
    assert "login is no .torrent file" in refusal(bench, web.url("/login"))[1]
    code, said = refusal(bench, "http://127.0.0.1:9/a.torrent")
    assert (code, "cannot be fetched" in said) == ("UNAVAILABLE", True)
    code, said = refusal(bench, "http://nowhere.invalid/a.torrent")
    assert (code, "the name nowhere.invalid leads nowhere" in said) == ("UNAVAILABLE", True)
    assert "leads nowhere" in refusal(bench, f"http://{'a' * 70}.example/a.torrent")[1]
    for link in ("http://host:port/a.torrent", "http:///a.torrent", "http:a.torrent"):
        assert refusal(bench, link)[0] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2a00:1450:4001:80b::200e", True),
        ("64:ff9b::808:808", True),
        ("64:ff9b::a00:1", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("172.31.255.255", False),
        ("255.255.255.255", False),
        ("fd00::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:8.8.8.8", False),
        ("2002:7f00:1::", False),
    ],
)
def test_addresses_that_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public
