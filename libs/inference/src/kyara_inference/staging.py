"""What every stage that asks a model does alike: read the pictures of a set, and say what went wrong.

Imported by stages alone; the rest of this package knows nothing of them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import PIL.Image
from google.protobuf.message import Message

from kyara_artifacts import BadPicture, Image, read_picture, side_by_side
from kyara_inference.catalogue import ModelMissing, UnknownModel
from kyara_inference.client import InferenceError, InferenceUnavailable
from kyara_inference.naming import digests_of
from kyara_stage import StageContext, StageError, StageSettings

S = TypeVar("S", bound=StageSettings)
T = TypeVar("T")
R = TypeVar("R")

# Decoded pictures held at a time: at 1080p about 50 MB.
CHUNK = 8
AT_ONCE = 2
"""Chunks that a model is asked about at a time: one is made ready while the server works on the other."""


def pictures_of(ctx: StageContext[S], images: Sequence[Image], phase: str) -> Iterator[list[tuple[Image, PIL.Image.Image]]]:
    """The pictures of a set in its order, a few at a time, RGB; progress is told.

    One that cannot be read is set aside with the reason, and its chunk is shorter.
    """
    decoded = side_by_side(_decoded, ctx.store.get_all([image.digest for image in images]))
    ctx.progress(phase, 0, len(images), "images")
    for start in range(0, len(images), CHUNK):
        chunk = []
        # `decoded` is not asked for more than the chunk: zip looks at its shorter side first.
        for image, found in zip(images[start : start + CHUNK], decoded, strict=False):
            if isinstance(found, BadPicture):
                ctx.reject(image.name, str(found))
            else:
                chunk.append((image, found))
        if chunk:
            yield chunk
        ctx.progress(phase, min(start + CHUNK, len(images)), len(images), "images")


def by_chunks(
    ctx: StageContext[S], work: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T], phase: str, unit: str
) -> list[R]:
    """What `work` gives for all of `items`, in order; it is called for a few at a time, and progress is told."""
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    found: list[R] = []
    ctx.progress(phase, 0, len(items), unit)
    for number, each in enumerate(side_by_side(work, chunks, AT_ONCE), 1):
        found += each
        ctx.progress(phase, min(number * CHUNK, len(items)), len(items), unit)
    return found


def _decoded(data: bytes) -> PIL.Image.Image | BadPicture:
    try:
        return read_picture(data)
    except BadPicture as error:
        return error


@contextmanager
def stage_errors() -> Iterator[None]:
    """Errors of this package as a stage's own: a model that is unknown, not there, or away."""
    try:
        yield
    except UnknownModel as error:
        raise StageError.invalid(f"{error}; correct the recipe") from error
    except InferenceUnavailable as error:
        raise StageError.unavailable(str(error)) from error
    except (InferenceError, ModelMissing) as error:
        raise StageError.precondition(str(error)) from error


def digests_here(params: Message, models: Path | None) -> dict[str, str]:
    """`digests_of` as the `models` of an operation that may be asked for the user's own. Raises StageError."""
    with stage_errors():
        return digests_of(params, models)
