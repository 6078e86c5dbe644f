"""A host is never asked more often than it may be, by however many processes."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from kyara_crawler.rates import Rates
from services.crawler.tests.crawl_world import World, offers

TURNS = """
import asyncio, sys, time
from pathlib import Path
from kyara_crawler.rates import Rates
async def main():
    rates = Rates(Path(sys.argv[1]))
    async def one():
        await rates.turn("example.org", 20)
        print(time.time())
    await asyncio.gather(*(one() for _ in range(10)))
asyncio.run(main())
"""


def test_processes_take_turns(tmp_path: Path) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", TURNS, str(tmp_path)], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    times = sorted(float(line) for each in running for line in each.communicate(timeout=60)[0].split())
    assert len(times) == 30
    # A turn may be taken late, never early: in no second are there more than 20 of them, and one more at its edge.
    assert all(times[n + 21] - times[n] > 0.95 for n in range(len(times) - 21))


def test_a_hold_is_for_everybody_that_waits(tmp_path: Path) -> None:
    async def turns() -> float:
        mine, others = Rates(tmp_path), Rates(tmp_path)
        await mine.turn("example.org", 10)
        began = time.monotonic()
        waiting = asyncio.create_task(mine.turn("example.org", 10))
        others.hold("example.org", 1.0)
        await asyncio.wait_for(others.turn("example.net", 10), 0.5)
        await waiting
        return time.monotonic() - began

    assert 0.9 < asyncio.run(turns()) < 2


def test_replicas_keep_to_their_share(tmp_path: Path) -> None:
    async def five() -> float:
        rates = Rates(tmp_path, share=1 / 4)
        began = time.monotonic()
        for _ in range(5):
            await rates.turn("example.org", 20)
        return time.monotonic() - began

    assert asyncio.run(five()) > 0.75


def test_a_clock_that_was_wrong_holds_nobody_for_long(tmp_path: Path) -> None:
    (tmp_path / "example.org").write_text(f"{time.time() + 10**6}")
    asyncio.run(asyncio.wait_for(Rates(tmp_path).turn("example.org", 10), 2))


def test_a_crawl_keeps_to_the_rate_as_its_host_sees_it(world: World) -> None:
    site = world.site("one", "danbooru", offers(*range(1, 31)), per_second=20)
    assert len(world.crawl().images) == 30
    times = [at for at, _, _ in site.asked]
    assert all(times[n + 21] - times[n] > 0.9 for n in range(len(times) - 21))
