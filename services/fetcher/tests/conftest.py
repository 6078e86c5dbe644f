"""A fetcher over a temporary store that may speak to loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kyara.fetcher.v1.fetcher_pb2 import FetchParams, ResolveParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import FileSet, open_store
from kyara_fetcher.seed import Seeder
from kyara_fetcher.settings import FetcherSettings
from kyara_fetcher.stage import OPERATIONS
from kyara_stage.testing import run_operation


class Bench:
    """A store, and the stage over it."""

    def __init__(self, folder: Path, *, allow_private_peers: bool = True) -> None:
        self.work = folder / "work"
        self.settings = FetcherSettings(
            store=(folder / "store").as_uri(),
            work_dir=self.work,
            peer_listen="127.0.0.1:0",
            dht=False,
            allow_private_peers=allow_private_peers,
        )
        self.store = open_store(self.settings.store)
        self.rejected: list[dict[str, str]] = []

    def resolve(self, source: str) -> ArtifactRef:
        """`fetcher.resolve`."""
        outputs, _ = run_operation(OPERATIONS[0], ResolveParams(source=source), {}, self.store, self.settings)
        return outputs["pinned"]

    def fetch(self, source: str, **params: object) -> dict[str, bytes]:
        """Both operations; name and content of every video."""
        wanted = FetchParams(**{"no_peers_timeout_s": 20.0, **params})  # type: ignore[arg-type]
        pinned = {"pinned": self.resolve(source)}
        outputs, self.rejected = run_operation(OPERATIONS[1], wanted, pinned, self.store, self.settings)
        files = FileSet.load(self.store, outputs["videos"])
        videos = {name: artifact for name, artifact in outputs.items() if name.startswith("video_")}
        assert list(videos) == [f"video_{number:03d}" for number in range(len(files))]
        assert [(each.kind, each.digest.sha256) for each in videos.values()] == [("video", file.sha256) for file in files]
        return {file.name: self.store.get(file.digest) for file in files}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "bench")


@pytest.fixture
def careful_bench(tmp_path: Path) -> Bench:
    """One that speaks to public addresses only, as it is by default."""
    return Bench(tmp_path / "careful", allow_private_peers=False)


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
