"""Tiny valid actions for the fetcher, for the contract suite."""

import tempfile
from pathlib import Path

from kyara.fetcher.v1.fetcher_pb2 import FetchParams, ResolveParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Store, put_json
from kyara_fetcher.folder import pin_folder


def _folder() -> Path:
    """A folder with one file that is a video by its name."""
    folder = Path(tempfile.mkdtemp(prefix="kyara-example-"))
    (folder / "episode.mkv").write_bytes(b"not looked into here" * 100)
    return folder


def example_resolve(store: Store) -> tuple[ResolveParams, dict[str, ArtifactRef]]:
    """`fetcher.resolve` of a folder, which needs nothing in the store."""
    assert store
    return ResolveParams(source=str(_folder())), {}


def example_fetch(store: Store) -> tuple[FetchParams, dict[str, ArtifactRef]]:
    """`fetcher.fetch` of a pinned folder."""
    pinned = pin_folder(_folder())
    return FetchParams(), {"pinned": put_json(store, "pinned", pinned.model_dump(mode="json"))}


EXAMPLES = {"fetcher.resolve": example_resolve, "fetcher.fetch": example_fetch}
