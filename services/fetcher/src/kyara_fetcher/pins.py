"""What a source is pinned to: bytes that cannot change under a cached result."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Value(BaseModel):
    """What a pin or record is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PinnedFile(Value):
    """One file of a folder: its path in it, and its content."""

    name: str
    sha256: str
    size: int


class PinnedFiles(Value):
    """Files under `root` as they were when they were pinned."""

    kind: Literal["files"] = "files"
    root: str
    files: tuple[PinnedFile, ...]


class PinnedTorrent(Value):
    """A torrent. At least one of its hashes (hexadecimal) is there; a hybrid one has both."""

    kind: Literal["torrent"] = "torrent"
    v1: str = ""
    v2: str = ""

    @property
    def hash(self) -> str:
        """The hash that it is called by."""
        return self.v1 or self.v2

    @property
    def magnet(self) -> str:
        """A magnet link with nothing but the hashes."""
        topics = [f"xt=urn:btih:{self.v1}"] * bool(self.v1) + [f"xt=urn:btmh:1220{self.v2}"] * bool(self.v2)
        return "magnet:?" + "&".join(topics)


class PinnedObject(Value):
    """One object of a bucket: its key, and the tag that changes with its content."""

    key: str
    etag: str
    size: int


class PinnedObjects(Value):
    """Objects of a bucket as they were when they were pinned. `folder` is the part of their keys that is not their name."""

    kind: Literal["objects"] = "objects"
    bucket: str
    folder: str
    objects: tuple[PinnedObject, ...]


Pin = PinnedFiles | PinnedTorrent | PinnedObjects
_PIN: TypeAdapter[Pin] = TypeAdapter(Annotated[Pin, Field(discriminator="kind")])


def read_pin(value: Any) -> Pin:
    """The pin that was kept as JSON."""
    return _PIN.validate_python(value)
