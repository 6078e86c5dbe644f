"""Publishing to a folder: each file whole or not at all, and publishing the same twice changes nothing."""

import os
import shutil
from pathlib import Path

from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts import digest_of_file
from kyara_artifacts.store import full_disk_said
from kyara_publisher.repository import Files, Receipt, in_order, safe_name, write_file
from kyara_publisher.settings import Context


def to_folder(ctx: Context, files: Files, folder: Path, name: str) -> Receipt:
    """Write the files under `folder/name`. Files that are right already stay. Raises StoreFull."""
    root = folder / safe_name(name)
    made = ctx.scratch / "made"
    digests: dict[str, str] = {}
    for path in ctx.track(in_order(files), "publishing", "files"):
        with full_disk_said(ctx.scratch):
            write_file(ctx.store, files[path], made)
        digest = digest_of_file(made)
        digests[path] = digest.sha256
        if not _is(root / path, digest):
            with full_disk_said(folder):
                _put(made, root / path)
    return {"where": str(root), "files": digests}


def _is(path: Path, digest: Digest) -> bool:
    return path.is_file() and path.stat().st_size == digest.size_bytes and digest_of_file(path) == digest


def _put(made: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Of a fixed name, so that what a killed attempt leaves is overwritten by the next.
    part = target.with_name(f".{target.name}.part")
    with made.open("rb") as source, part.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())
    part.chmod(0o644)
    part.replace(target)
