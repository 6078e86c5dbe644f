"""The repository of one character's dataset: its packages as trainers take them, and its pictures for `load_dataset`."""

from kyara_artifacts import FileSet, ImageSet, Store
from kyara_publisher.pictures import named, pictures_archive
from kyara_publisher.repository import README, Files, safe_name

IMAGES = "images.zip"
_FRONT = f"""---
task_categories:
- text-to-image
tags:
- anime
- kyara
configs:
- config_name: default
  data_files: {IMAGES}
---

"""
_USE = f"""
[{IMAGES}]({IMAGES}) holds the images that are trained on, without files beside them; `metadata.jsonl` in it says all that is
known of each, its caption too.

```python
from datasets import load_dataset

load_dataset(REPOSITORY)
```
"""


def character_repository(store: Store, packages: FileSet, dataset: ImageSet) -> Files:
    """`dataset-*.zip`, `sample_N.png` and `meta.json` as the curator made them, `images.zip`, `README.md`."""
    files: Files = {safe_name(file.name): file.digest for file in packages}
    page = next(store.get(file.digest) for file in packages if file.name == README)
    files[IMAGES] = pictures_archive(store, named(list(dataset.images)))
    files[README] = _FRONT.encode() + page + _USE.encode()
    return files
