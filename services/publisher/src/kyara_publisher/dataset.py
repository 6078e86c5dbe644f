"""The repository of a video's dataset: a folder an index, and archives of everything."""

from collections.abc import Sequence

from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts import Image, ImageSet, Store
from kyara_publisher.pictures import named, pictures_archive
from kyara_publisher.repository import README, Files, json_file, safe_name, table

PREVIEWS = 8
NOISE = -1
REGULAR = 2000
"""Regularisation pictures at most, as in the reference process."""

Groups = dict[int, list[Image]]


def dataset_repository(store: Store, name: str, clusters: ImageSet, sheet: Digest) -> Files:
    """`{index}/dataset.zip`, `{index}/preview_N.png`, `all.zip`, `raw.zip`, `regular/normal.zip`, `meta.json`, `README.md`.

    `clusters` are all crops of a video with their index; -1 is noise.
    """
    groups = _groups(clusters)
    files: Files = {"sheet.png": sheet}
    everything: dict[str, Image] = {}
    for index, images in groups.items():
        files[f"{index}/dataset.zip"] = pictures_archive(store, named(images))
        files |= {f"{index}/preview_{number}.png": image.digest for number, image in enumerate(_previews(images), 1)}
        everything |= named(images, f"{index}/")
    files["all.zip"] = pictures_archive(store, everything)
    files["raw.zip"] = pictures_archive(store, named(_raw(clusters)))
    files["regular/normal.zip"] = pictures_archive(store, named(_regular(clusters)))
    files["meta.json"] = json_file({"name": name, "ids": sorted(groups), "total": len(clusters)})
    files[README] = _readme(name, len(clusters), groups)
    return files


def _groups(clusters: ImageSet) -> Groups:
    """The crops by index, noise last."""
    groups: Groups = {}
    for image in clusters:
        groups.setdefault(NOISE if image.index is None else image.index, []).append(image)
    return dict(sorted(groups.items(), key=lambda group: (group[0] == NOISE, group[0])))


def _previews(images: Sequence[Image]) -> list[Image]:
    """Up to eight, spread over all."""
    step = max(1, len(images) // PREVIEWS)
    return list(images[::step][:PREVIEWS])


def _raw(clusters: ImageSet) -> list[Image]:
    """The crops as they were before anybody told characters apart: by name, without index and outfit."""
    bare = (image.model_copy(update={"index": None, "outfit": None}) for image in clusters)
    return sorted(bare, key=lambda image: image.name)


def _regular(clusters: ImageSet) -> list[Image]:
    """Crops of anybody, noise too: a draw that is the same each time, since a digest is as good as a random number."""
    drawn = sorted(clusters, key=lambda image: image.sha256)[:REGULAR]
    return sorted(drawn, key=lambda image: image.name)


def _readme(name: str, total: int, groups: Groups) -> bytes:
    parts = [
        _front_matter(groups),
        f"# {safe_name(name)}",
        _introduction(total, groups),
        "![sheet](sheet.png)",
        _table(groups),
        _USE,
    ]
    return ("\n\n".join(parts) + "\n").encode()


def _front_matter(groups: Groups) -> str:
    """What a hub shows the dataset by, and where `load_dataset` finds what it is asked for."""
    archives = {"default": "all.zip", **{str(index): f"{index}/dataset.zip" for index in groups}}
    archives |= {"raw": "raw.zip", "regular": "regular/normal.zip"}
    configs = [f'- config_name: "{config}"\n  data_files: "{archive}"' for config, archive in archives.items()]
    head = ["task_categories:", "- text-to-image", "tags:", "- anime", "- kyara", "configs:"]
    return "\n".join(["---", *head, *configs, "---"])


def _introduction(total: int, groups: Groups) -> str:
    found = len([index for index in groups if index != NOISE])
    noise = f" Index -1 is noise: {len(groups[NOISE])} pictures that belong to nobody." if NOISE in groups else ""
    return f"{total} pictures, found in video, of {found} characters.{noise}"


def _table(groups: Groups) -> str:
    rows: list[list[str]] = []
    for index, images in groups.items():
        count = len(_previews(images))
        shown = " ".join(f"![{number}]({index}/preview_{number}.png)" for number in range(1, count + 1))
        rows.append([str(index), str(len(images)), f"[download]({index}/dataset.zip)", shown])
    return table(["index", "pictures", "archive", "samples"], rows)


_USE = f"""## Archives

- [all.zip](all.zip): everything, a folder an index.
- [raw.zip](raw.zip): the same pictures as they were before characters were told apart.
- [regular/normal.zip](regular/normal.zip): at most {REGULAR} pictures of anybody, drawn from all of the above, for
  regularisation. They have no captions: pictures are tagged only when a character's own dataset is made.
- `regular/nobg.zip`, the same without backgrounds, is left out: no model that removes backgrounds is part of Kyara yet.

Pictures come as they were cut from the video; `metadata.jsonl` in each archive says all that is known of them.

```python
from datasets import load_dataset

load_dataset(REPOSITORY)             # everything, with the index of each picture
load_dataset(REPOSITORY, "0")        # index 0
load_dataset(REPOSITORY, "regular")  # or "raw"
```"""
