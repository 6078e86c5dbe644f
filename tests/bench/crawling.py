"""A crawl of many pictures, beside a plain httpx loop with as many requests at once, and what the site sees of the rate."""

import asyncio
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import yaml

from kyara.crawler.v1.crawler_pb2 import CollectParams, ResolveParams, WebSource
from kyara_artifacts import ImageSet, open_store
from kyara_crawler import stage as crawler
from kyara_crawler.settings import CrawlerSettings
from kyara_stage.testing import run_operation
from tests.bench.rows import Row, medians

PICTURES = 2_000
AT_ONCE = 8
LATENCY_S = 0.05
"""Of each answer: a site that is near."""
RATE = 40
RATED_PICTURES = 120

SITE = """
import sys, time
from services.crawler.tests.booru_sites import BooruSite, Offer, png, serving
count, latency = int(sys.argv[1]), float(sys.argv[2])
site = BooruSite("danbooru", [Offer(number, "char_bench", data=png(number, (96, 128))) for number in range(1, count + 1)])
answer = site.answer
def late(path, query):
    time.sleep(latency)
    return answer(path, query)
site.answer = late
with serving(site):
    print(site.url, flush=True)
    sys.stdin.readline()
    print(*(at for at, _, _ in site.asked), flush=True)
"""


def crawling(folder: Path) -> Iterator[Row]:
    """Ours checks every picture and keeps it in a store; the peer only reads the bytes."""
    site = subprocess.Popen([sys.executable, "-c", SITE, str(PICTURES), str(LATENCY_S)], stdin=-1, stdout=-1, text=True)
    assert site.stdout and site.stdin
    url = site.stdout.readline().strip()
    counts: dict[str, int] = {}

    def ours() -> None:
        counts["kept"] = _crawled(url, folder, PICTURES, per_second=0)

    def theirs() -> None:
        counts["peer"] = asyncio.run(_looped(url))

    kyara_s, peer_s = medians(ours, theirs)
    site.communicate("\n")
    notes = {**counts, "pictures_per_s": round(PICTURES / kyara_s), "peer_pictures_per_s": round(PICTURES / peer_s)}
    yield Row(f"a crawl of {PICTURES} pictures", kyara_s, f"an httpx loop, {AT_ONCE} at once", peer_s, notes | _rated(folder))


def _crawled(url: str, folder: Path, most: int, per_second: float) -> int:
    """How many pictures are kept, in a store of this crawl's own."""
    place = Path(tempfile.mkdtemp(dir=folder))
    listed = {"name": "bench", "family": "danbooru", "url": url, "per_second": per_second}
    (place / "sites.yaml").write_text(yaml.safe_dump({"sites": [listed]}))
    settings = CrawlerSettings(
        store=f"file://{place}/store", sites=place / "sites.yaml", rates=place / "rates", downloads=AT_ONCE, allow_private=True
    )
    store = open_store(settings.store)
    asked = ResolveParams(web=WebSource(name="char bench", limit=most))
    pinned, _ = run_operation(crawler.OPERATIONS[0], asked, {}, store, settings)
    outputs, _ = run_operation(crawler.OPERATIONS[1], CollectParams(), pinned, store, settings)
    return len(ImageSet.load(store, outputs["images"]))


async def _looped(url: str) -> int:
    """How many pictures were read: the list page by page, then each picture."""
    async with httpx.AsyncClient() as client:
        posts = []
        for page in range(1, PICTURES // 100 + 1):
            posts += (await client.get(f"{url}/posts.json", params={"tags": "char_bench", "limit": 100, "page": page})).json()
        waiting = iter(posts)
        read = 0

        async def work() -> None:
            nonlocal read
            for post in waiting:
                data = (await client.get(post["file_url"])).content
                read += hashlib.md5(data, usedforsecurity=False).hexdigest() == post["md5"]

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return read


def _rated(folder: Path) -> dict[str, float]:
    """The most requests in any second that a site saw, which allows RATE."""
    site = subprocess.Popen([sys.executable, "-c", SITE, str(RATED_PICTURES), "0"], stdin=-1, stdout=-1, text=True)
    assert site.stdout and site.stdin
    _crawled(site.stdout.readline().strip(), folder, RATED_PICTURES, per_second=RATE)
    times = [float(word) for word in site.communicate("\n")[0].split()]
    most = max(sum(at <= each < at + 1 for each in times) for at in times)
    return {"rate": RATE, "most_in_a_second": most, "mean_per_s": round((len(times) - 1) / (times[-1] - times[0]), 1)}
