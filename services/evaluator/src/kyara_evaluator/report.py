"""The page of a run: one HTML file with everything in it, for somebody who was not there.

What it says comes from the scores; names, tags and prompts come from outside, so the template escapes everything, and the page
allows no script and nothing from elsewhere.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import PIL.Image

from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams
from kyara_artifacts import Image, Store, read_picture

_CELL, _LARGE = 144, 384
"""Px of a picture's longer side, in the grid and by itself."""
_MOST_SUSPECTS, _NEAREST, _FROM_DATASET = 24, 4, 24

_PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader("kyara_evaluator"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.filters["mark"] = lambda value: "–" if value is None else f"{value:.2f}"
_PAGES.filters["change"] = lambda value: "–" if value is None else f"{value:+.2f}"


@dataclass(frozen=True)
class Looked:
    """A preview, and the dataset's picture that it is most alike."""

    preview: Image
    nearest: Image

    @property
    def alike(self) -> float:
        """-1..1, by layout."""
        return self.preview.scores["alike"]


def report_html(
    store: Store,
    params: EvaluateParams,
    record: Mapping[str, Any],
    previews: Mapping[tuple[int, str], PIL.Image.Image],
    looked: Sequence[Looked],
    dataset: Sequence[Image],
    curve: bytes,
) -> bytes:
    """The page, UTF-8. `record` are the scores as they are kept; `previews` are the pictures by step and prompt."""
    best = int(record["best_step"])
    suspects = _suspects(looked)
    page = _PAGES.get_template("report.html").render(
        name=params.trigger,
        words=[params.trigger, *(tag.replace("_", " ") for tag in params.core_tags)],
        base_model=params.preview_model,
        record=record,
        best=next(row for row in record["steps"] if row["step"] == best),
        rows=sorted(record["steps"], key=lambda row: (row["step"] != best, row["step"])),
        steps=[record["base"], *record["steps"]],
        curve=_uri(curve, "png"),
        large={prompt["name"]: _shown(previews[best, prompt["name"]], _LARGE) for prompt in record["prompts"]},
        cells={cell: _shown(picture, _CELL) for cell, picture in previews.items()},
        looked={(each.preview.step or 0, each.preview.prompt): each.preview for each in looked},
        suspects=[_pair(store, previews, each) for each in suspects[:_MOST_SUSPECTS]],
        more_suspects=max(0, len(suspects) - _MOST_SUSPECTS),
        nearest=[_pair(store, previews, each) for each in _most_alike(looked, best)] if not suspects else [],
        dataset=[(image, _shown(_read(store, image), _CELL)) for image in _sample(dataset)],
    )
    return page.encode()


def _suspects(looked: Sequence[Looked]) -> list[Looked]:
    """Previews of saves that are broken or a copy, the most alike first."""
    found = [each for each in looked if each.preview.step and each.preview.note]
    return sorted(found, key=lambda each: (-each.alike, each.preview.name))


def _most_alike(looked: Sequence[Looked], step: int) -> list[Looked]:
    found = [each for each in looked if each.preview.step == step]
    return sorted(found, key=lambda each: (-each.alike, each.preview.name))[:_NEAREST]


def _pair(store: Store, previews: Mapping[tuple[int, str], PIL.Image.Image], each: Looked) -> dict[str, Any]:
    drawn = previews[each.preview.step or 0, each.preview.prompt or ""]
    return {"looked": each, "drawn": _shown(drawn, _CELL), "trained": _shown(_read(store, each.nearest), _CELL)}


def _sample(images: Sequence[Image]) -> list[Image]:
    """Some of the pictures, evenly over all."""
    count = min(len(images), _FROM_DATASET)
    return [images[place * len(images) // count] for place in range(count)]


def _read(store: Store, image: Image) -> PIL.Image.Image:
    return read_picture(store.get(image.digest))


def _shown(picture: PIL.Image.Image, side: int) -> dict[str, Any]:
    """A picture as the page has it: never larger than it is."""
    small = picture.copy()
    small.thumbnail((side, side), PIL.Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.convert("RGB").save(buffer, "WEBP", quality=82)
    return {"uri": _uri(buffer.getvalue(), "webp"), "width": small.width, "height": small.height}


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
