"""Tiny valid actions for the crawler, for the contract suite."""

import tempfile
from pathlib import Path

import numpy as np

from kyara.crawler.v1.crawler_pb2 import CollectParams, ResolveParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import File, FileSet, Store, png_bytes


def _picture(level: int) -> bytes:
    return png_bytes(np.full((32, 24, 3), level, np.uint8))


def example_resolve(store: Store) -> tuple[ResolveParams, dict[str, ArtifactRef]]:
    """`crawler.resolve` of a folder with one picture, which needs nothing in the store."""
    assert store
    folder = Path(tempfile.mkdtemp(prefix="kyara-example-"))
    (folder / "one.png").write_bytes(_picture(40))
    return ResolveParams(folder=str(folder)), {}


def example_collect(store: Store) -> tuple[CollectParams, dict[str, ArtifactRef]]:
    """`crawler.collect` of two pinned files, one of them no picture."""
    files = []
    for name, data in (("one.png", _picture(40)), ("two.png", b"<html>")):
        digest = store.put(data)
        files.append(File(name=name, sha256=digest.sha256, size=digest.size_bytes))
    return CollectParams(), {"pinned": FileSet(files=tuple(files)).save(store)}


EXAMPLES = {"crawler.resolve": example_resolve, "crawler.collect": example_collect}
