"""What the gate tells gallery-dl of their connection."""

import asyncio
from pathlib import Path

from kyara_crawler.gate import gate_to
from kyara_crawler.rates import Rates
from kyara_crawler.web import Reach, Web
from services.crawler.tests.booru_sites import BooruSite, serving


def test_an_answer_says_that_its_connection_closes_though_the_site_does_not(tmp_path: Path) -> None:
    """A program that thought it open would send its next request into a reset."""
    with serving(BooruSite("moebooru", [])) as site:
        head = asyncio.run(_head(site.address, tmp_path))
    assert head.startswith("http/1.1 200") and "\r\nconnection: close\r\n" in head


async def _head(address: str, folder: Path) -> str:
    reach = Reach(("127.0.0.1",), per_second=0, most_bytes=1 << 20)
    web = Web(Rates(folder), "", allow_private=True, within_s=5, longest_wait_s=5)
    async with web, gate_to(web, reach) as gate:
        answer, request = await asyncio.open_connection(*gate.url.removeprefix("http://").split(":"))
        request.write(f"GET http://{address}/post.json?tags=a HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        head = await answer.readuntil(b"\r\n\r\n")
        request.close()
        return head.decode().lower()
