"""Archives of pictures, as `datasets.load_dataset` reads them."""

from collections.abc import Iterator, Mapping
from typing import Any

from kyara_artifacts import Image, Store, canonical_json
from kyara_publisher.archives import Archive
from kyara_publisher.repository import safe_name

_OF_THE_STORE = {"sha256", "size", "media_type"}


def named(images: list[Image], folder: str = "") -> dict[str, Image]:
    """The pictures by a path of their own in an archive; what outside calls them is not trusted."""
    return {f"{folder}{number:05d}_{_stem(image.name)}.png": image for number, image in enumerate(images)}


def pictures_archive(store: Store, pictures: Mapping[str, Image]) -> Archive:
    """An archive of `pictures` by path. It begins with `metadata.jsonl`: a line a picture, with all that is known of it."""

    def entries() -> Iterator[tuple[str, bytes]]:
        yield "metadata.jsonl", _metadata(pictures)
        yield from zip(pictures, store.get_all([image.digest for image in pictures.values()]), strict=True)

    return Archive(entries)


def _metadata(pictures: Mapping[str, Image]) -> bytes:
    """ImageFolder wants the same columns in every line: those that are known of any picture."""
    rows = {path: _known(image) for path, image in pictures.items()}
    columns = dict.fromkeys(key for row in rows.values() for key in row)
    lines = ({"file_name": path} | {key: row.get(key) for key in columns} for path, row in rows.items())
    return b"".join(canonical_json(line) + b"\n" for line in lines)


def _known(image: Image) -> dict[str, Any]:
    """What a manifest says of a picture. A mapping becomes a list, since each of its keys would be a column."""
    known = image.model_dump(mode="json", exclude_defaults=True, exclude=_OF_THE_STORE)
    return {key: _listed(value) if isinstance(value, dict) else value for key, value in known.items()}


def _listed(values: Mapping[str, float]) -> list[dict[str, str | float]]:
    return [{"name": name, "value": value} for name, value in sorted(values.items())]


def _stem(name: str) -> str:
    # `load_dataset` takes an archive for what most of its files end in, and takes each dot for the start of an ending.
    return safe_name(name.rsplit("/", 1)[-1].rsplit(".", 1)[0]).replace(".", "_")
