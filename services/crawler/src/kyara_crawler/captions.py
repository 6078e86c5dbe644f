"""Captions that lie beside the pictures of a folder, each a `.txt` of the picture's name: how every trainer keeps them."""

from collections.abc import Collection
from pathlib import PurePosixPath

MOST_BYTES = 64 * 1024
_TEXT = ".txt"


def stem_of(name: str) -> str:
    """What a picture and its caption have in common."""
    return str(PurePosixPath(name).with_suffix(""))


def is_caption(name: str, pictures: Collection[str]) -> bool:
    """Whether a file is the caption of one of `pictures`, given as stems."""
    return PurePosixPath(name).suffix.lower() == _TEXT and stem_of(name) in pictures


def caption_in(data: bytes) -> str:
    """A caption file's text on one line. Raises ValueError when it is none."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"{len(data)} bytes are no caption; at most {MOST_BYTES} are read")
    try:
        return " ".join(data.decode("utf-8-sig").split())
    except UnicodeDecodeError as error:
        raise ValueError(f"the caption is not UTF-8 at byte {error.start}; save it anew as UTF-8") from error
