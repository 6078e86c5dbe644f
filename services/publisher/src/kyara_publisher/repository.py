"""A repository before it is anywhere: its files by path, in memory, as blobs of the store, or as archives to be written."""

import json
import re
from pathlib import Path
from typing import Any

from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts import Store
from kyara_publisher.archives import Archive

README = "README.md"
File = bytes | Digest | Archive
Files = dict[str, File]
Receipt = dict[str, Any]
"""Where a repository was published (`where`), and the SHA-256 of its `files` by path."""


def in_order(files: Files) -> list[str]:
    """The paths as they are published: until the README is there, nobody takes a half of it for the whole."""
    return sorted(files, key=lambda path: (path == README, path))


def write_file(store: Store, file: File, path: Path) -> None:
    """Write a file's content to `path`. Raises StoreError."""
    match file:
        case bytes():
            path.write_bytes(file)
        case Archive():
            file.write(path)
        case _:
            store.fetch(file, path)


def safe_name(name: str) -> str:
    """`name` as one part of a path: nothing from outside may step out of its folder or hide in it."""
    cleaned = re.sub(r"[^\w.() +-]", "_", name).strip(". ")
    return cleaned[:120] or "unnamed"


def json_file(value: Any) -> bytes:
    """`value` as JSON for people and programs."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
