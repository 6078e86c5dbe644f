"""The repository of a video's dataset: a folder a character, named by its index, and everything in one archive."""

import json
from collections.abc import Sequence

from kyara_artifacts import Image, ImageSet, Store, canonical_json
from kyara_publisher.repository import Files, json_file, safe_name, table, zipped

PREVIEWS = 8
NOISE = -1


def dataset_repository(store: Store, name: str, clusters: ImageSet, sheet: bytes) -> Files:
    """`{index}/dataset.zip`, `{index}/preview_N.png`, `all.zip`, `meta.json`, `README.md`; index -1 is noise."""
    files: Files = {"sheet.png": sheet}
    everything: dict[str, bytes] = {}
    by_index: dict[int, list[Image]] = {}
    for image in clusters:
        by_index.setdefault(NOISE if image.index is None else image.index, []).append(image)
    rows: list[list[str]] = []
    for index in sorted(by_index, key=lambda each: (each == NOISE, each)):
        packed = _packed(store, by_index[index])
        files[f"{index}/dataset.zip"] = zipped(packed)
        everything |= {f"{index}/{path}": data for path, data in packed.items()}
        previews = _previews(by_index[index])
        files |= {f"{index}/preview_{number}.png": image.digest for number, image in enumerate(previews, 1)}
        shown = " ".join(f"![{number}]({index}/preview_{number}.png)" for number in range(1, len(previews) + 1))
        rows.append([str(index), str(len(by_index[index])), f"[download]({index}/dataset.zip)", shown])
    files["all.zip"] = zipped(everything)
    files["meta.json"] = json_file({"name": name, "ids": sorted(by_index), "total": len(clusters)})
    files["README.md"] = _readme(name, len(clusters), rows)
    return files


def _packed(store: Store, images: Sequence[Image]) -> dict[str, bytes]:
    packed: dict[str, bytes] = {}
    for number, (image, data) in enumerate(zip(images, store.get_all([each.digest for each in images]), strict=True)):
        stem = f"{number:05d}_{safe_name(image.name.rsplit('/', 1)[-1].rsplit('.', 1)[0])}"
        packed[f"{stem}.png"] = data
        packed[f".{stem}_meta.json"] = canonical_json(json.loads(image.model_dump_json(exclude_defaults=True)))
    return packed


def _previews(images: Sequence[Image]) -> list[Image]:
    """Up to eight, spread over all."""
    step = max(1, len(images) // PREVIEWS)
    return list(images[::step][:PREVIEWS])


def _readme(name: str, total: int, rows: list[list[str]]) -> bytes:
    head = f"---\ntask_categories:\n- text-to-image\ntags:\n- anime\n- kyara\n---\n\n# {name}\n\n"
    text = f"{total} pictures of {len(rows)} groups, found in video. Index -1 is noise.\n\n![sheet](sheet.png)\n\n"
    return (head + text + table(["index", "pictures", "archive", "samples"], rows) + "\n").encode()
