"""The page that goes with a dataset's packages: what they hold, how many pictures each, and what those look like."""

from collections.abc import Sequence
from typing import Any

from kyara_artifacts import File, Image

SAMPLES = 8
_KINDS = {"person": "whole figures", "halfbody": "upper bodies", "head": "heads"}
_USE = """For kohya-ss/sd-scripts unpack one of them into a folder of its own, named after how often each image is shown an epoch:

```sh
unzip FILE.zip -d train/10_character
accelerate launch train_network.py --train_data_dir train --caption_extension .txt ...
```"""


def samples(images: Sequence[Image]) -> list[File]:
    """Pictures from all over the dataset, as `sample_N.png`."""
    step = max(1, len(images) // SAMPLES)
    return [
        File(name=f"sample_{number}.png", sha256=image.sha256, size=image.size, media_type=image.media_type)
        for number, image in enumerate(images[::step][:SAMPLES], 1)
    ]


def readme(meta: dict[str, Any], packages: Sequence[File], shown: Sequence[File]) -> bytes:
    """The page, in Markdown; `meta` is the dataset's own."""
    counts = meta["counts"]
    crops = ", ".join(f"{counts[kind]} {words}" for kind, words in _KINDS.items() if kind in counts)
    core = ", ".join(f"`{tag}`" for tag in meta["core_tags"]) or "none"
    rows = [f"| [{file.name}]({file.name}) | {file.meta['images']} | {file.size / 1e6:.1f} MB |" for file in packages]
    parts = [
        f"# {meta['trigger']}",
        f"A {meta['scale']} dataset: {counts['images']} images of {counts['pictures']} pictures ({crops}).",
        f"Trigger word: `{meta['trigger']}`. Core tags: {core}.",
        " ".join(f"![{number}]({file.name})" for number, file in enumerate(shown, 1)),
        "\n".join(["| package | images | size |", "|---|---|---|", *rows]),
        "Each image lies beside its caption (`.txt`) and what is known of it (`.*_meta.json`).",
        _USE,
    ]
    return ("\n\n".join(parts) + "\n").encode()
