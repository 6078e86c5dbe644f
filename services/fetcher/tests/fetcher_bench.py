"""A store, and the fetcher over it."""

from pathlib import Path

from kyara.fetcher.v1.fetcher_pb2 import FetchParams, ResolveParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import FileSet, open_store
from kyara_fetcher.settings import FetcherSettings
from kyara_fetcher.stage import OPERATIONS
from kyara_stage.testing import run_operation


class Bench:
    """Runs the fetcher's operations; `settings` are changes to those that suit loopback."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.work = folder / "work"
        values = {
            "store": (folder / "store").as_uri(),
            "work_dir": self.work,
            "peer_listen": "127.0.0.1:0",
            "dht": False,
            "allow_private_peers": True,
        }
        self.settings = FetcherSettings.model_validate(values | settings)
        self.store = open_store(self.settings.store)
        self.rejected: list[dict[str, str]] = []

    def resolve(self, source: str) -> ArtifactRef:
        """`fetcher.resolve`."""
        outputs, _ = run_operation(OPERATIONS[0], ResolveParams(source=source), {}, self.store, self.settings)
        return outputs["pinned"]

    def fetch(self, source: str, **params: object) -> dict[str, bytes]:
        """Both operations; name and content of every video."""
        return self.fetch_pinned(self.resolve(source), **params)

    def fetch_pinned(self, pinned: ArtifactRef, **params: object) -> dict[str, bytes]:
        """`fetcher.fetch`; name and content of every video."""
        outputs = self.outputs(pinned, **params)
        files = FileSet.load(self.store, outputs["videos"])
        videos = {name: artifact for name, artifact in outputs.items() if name.startswith("video_")}
        assert list(videos) == [f"video_{number:03d}" for number in range(len(files))]
        assert [(each.kind, each.digest.sha256) for each in videos.values()] == [("video", file.sha256) for file in files]
        return {file.name: self.store.get(file.digest) for file in files}

    def outputs(self, pinned: ArtifactRef, **params: object) -> dict[str, ArtifactRef]:
        """`fetcher.fetch`, as it gives them."""
        wanted = FetchParams(**{"no_peers_timeout_s": 20.0, **params})  # type: ignore[arg-type]
        outputs, self.rejected = run_operation(OPERATIONS[1], wanted, {"pinned": pinned}, self.store, self.settings)
        return outputs
