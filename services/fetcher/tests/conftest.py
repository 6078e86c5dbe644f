"""A fetcher over a temporary store that may speak to loopback, and the servers it speaks to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kyara_fetcher.seed import Seeder
from services.fetcher.tests.fetcher_bench import Bench
from services.fetcher.tests.fetcher_web import Web, web_server


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "bench")


@pytest.fixture
def careful_bench(tmp_path: Path) -> Bench:
    """One that speaks to public addresses only, as it is by default."""
    return Bench(tmp_path / "careful", allow_private_peers=False)


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as web:
        yield web


@pytest.fixture
def seed() -> Iterator:
    """Seed a file or folder on loopback until the test ends."""
    seeders: list[Seeder] = []

    def start(path: Path, listen: str = "127.0.0.1:0") -> Seeder:
        seeders.append(Seeder(path, listen))
        return seeders[-1]

    yield start
    for seeder in seeders:
        seeder.close()
