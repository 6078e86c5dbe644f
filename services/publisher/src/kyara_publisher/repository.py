"""A repository before it is anywhere: its files by path, in memory or as blobs of the store."""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts import Store

Files = dict[str, bytes | Digest]
_EPOCH = (1980, 1, 1, 0, 0, 0)


def content(store: Store, file: bytes | Digest) -> bytes:
    """A file's bytes."""
    return file if isinstance(file, bytes) else store.get(file)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip of `files`, by name, without times: the same files give the same bytes. Pictures are stored as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), files[name])
    return buffer.getvalue()


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
