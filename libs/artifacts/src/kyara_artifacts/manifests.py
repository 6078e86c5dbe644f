"""Manifests: image sets and file sets as JSON lines over blobs.

A stage that filters writes a new manifest and copies no picture. The first line says what the manifest is and
holds its `meta`; every other line is one entry.
"""

import json
from collections.abc import Iterator
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from kyara.stage.v1.stage_pb2 import ArtifactRef, Digest
from kyara_artifacts.boxes import Corners
from kyara_artifacts.digests import canonical_json
from kyara_artifacts.store import Store

JSON_LINES = "application/jsonl"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Header(_Entry):
    kind: str
    meta: dict[str, Any]


class Box(_Entry):
    """A box in px of its image; `kind` is person, halfbody, head or face."""

    kind: str
    x0: float
    y0: float
    x1: float
    y1: float
    score: float

    @property
    def corners(self) -> Corners:
        """Without what it says of them."""
        return self.x0, self.y0, self.x1, self.y1


class Image(_Entry):
    """One picture of an image set: its blob, and all that is known of it."""

    name: str
    """Unique in the set; never trusted as a path."""
    sha256: str
    size: int
    width: int
    height: int
    media_type: str = "image/png"
    source: str = ""
    """Where it came from: a video's name, a file's, a post's."""
    time_s: float | None = None
    shot: int | None = None
    sharpness: float | None = None
    boxes: tuple[Box, ...] = ()
    crop: str = ""
    """`person`, `halfbody`, `head`, or empty for a whole picture."""
    parent: str = ""
    """Name of the image it was cut from."""
    parent_box: tuple[float, float, float, float] | None = None
    """In px of the parent."""
    index: int | None = None
    """The cluster's number; -1 is noise."""
    outfit: int | None = None
    """What the character of that index wears: 0 is the outfit seen most."""
    tags: dict[str, float] = Field(default_factory=dict)
    caption: str | None = None
    step: int | None = None
    prompt: str | None = None
    seed: int | None = None
    scores: dict[str, float] = Field(default_factory=dict)
    note: str = ""

    @property
    def digest(self) -> Digest:
        """The picture's blob."""
        return Digest(sha256=self.sha256, size_bytes=self.size)


class File(_Entry):
    """One file of a file set."""

    name: str
    sha256: str
    size: int
    media_type: str = ""
    meta: dict[str, Any] = Field(default_factory=dict)

    @property
    def digest(self) -> Digest:
        """The file's blob."""
        return Digest(sha256=self.sha256, size_bytes=self.size)


class ImageSet(_Entry):
    """Pictures and what is known of them."""

    images: tuple[Image, ...]
    meta: dict[str, Any] = Field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Image]:  # type: ignore[override]
        return iter(self.images)

    def save(self, store: Store) -> ArtifactRef:
        """Write the manifest; the pictures must be in the store already."""
        return _save(store, "image-set", self.meta, self.images)

    @classmethod
    def load(cls, store: Store, ref: ArtifactRef) -> Self:
        """Read a manifest. Raises ValueError when it is none of this kind."""
        meta, entries = _load(store, ref, "image-set")
        return cls(images=tuple(Image.model_validate(entry) for entry in entries), meta=meta)


class FileSet(_Entry):
    """Files and what is known of them."""

    files: tuple[File, ...]
    meta: dict[str, Any] = Field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[File]:  # type: ignore[override]
        return iter(self.files)

    def save(self, store: Store) -> ArtifactRef:
        """Write the manifest; the files must be in the store already."""
        return _save(store, "file-set", self.meta, self.files)

    @classmethod
    def load(cls, store: Store, ref: ArtifactRef) -> Self:
        """Read a manifest. Raises ValueError when it is none of this kind."""
        meta, entries = _load(store, ref, "file-set")
        return cls(files=tuple(File.model_validate(entry) for entry in entries), meta=meta)


def ref(kind: str, digest: Digest, media_type: str) -> ArtifactRef:
    """A reference to a blob, saying what it is."""
    return ArtifactRef(kind=kind, digest=digest, media_type=media_type)


def blobs_of(store: Store, artifact: ArtifactRef) -> dict[str, int]:
    """Every blob that an artifact consists of, by its SHA-256, with its size in bytes. Raises BlobMissing."""
    blobs = {artifact.digest.sha256: artifact.digest.size_bytes}
    if artifact.kind in ("image-set", "file-set"):
        _, entries = _load(store, artifact, artifact.kind)
        blobs |= {entry["sha256"]: entry["size"] for entry in entries}
    return blobs


def put_json(store: Store, kind: str, value: Any) -> ArtifactRef:
    """Keep `value` as canonical JSON."""
    return ref(kind, store.put(canonical_json(value)), "application/json")


def get_json(store: Store, artifact: ArtifactRef) -> Any:
    """The value that `put_json` kept."""
    return json.loads(store.get(artifact.digest))


def _save(store: Store, kind: str, meta: dict[str, Any], entries: tuple[_Entry, ...]) -> ArtifactRef:
    head = canonical_json({"kind": kind, "meta": meta})
    lines = [canonical_json(entry.model_dump(mode="json", exclude_defaults=True)) for entry in entries]
    return ref(kind, store.put(b"\n".join([head, *lines]) + b"\n"), JSON_LINES)


def _load(store: Store, artifact: ArtifactRef, kind: str) -> tuple[dict[str, Any], list[Any]]:
    if artifact.kind != kind:
        raise ValueError(f"{artifact.digest.sha256} is of kind {artifact.kind!r}; a manifest of kind {kind!r} is needed")
    head, *lines = store.get(artifact.digest).splitlines() or [b""]
    header = _Header.model_validate_json(head)
    if header.kind != kind:
        raise ValueError(f"{artifact.digest.sha256} holds a {header.kind!r}, not a {kind!r}")
    return header.meta, [json.loads(line) for line in lines]
