"""Names from outside made harmless, and which of them are videos."""

import fnmatch
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

MEDIA_TYPES = {
    ".avi": "video/x-msvideo",
    ".flv": "video/x-flv",
    ".m2ts": "video/mp2t",
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".ogm": "video/ogg",
    ".ts": "video/mp2t",
    ".webm": "video/webm",
    ".wmv": "video/x-ms-wmv",
}
"""Media type by ending: a file is taken for a video by its name here, and looked into by the keyframer."""

_LONGEST_PART = 120
_UNWANTED = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


def safe_name(name: str) -> str:
    """A relative path in plain parts: no `..`, no control signs, no part longer than a file system takes."""
    parts = []
    for part in name.replace("\\", "/").split("/"):
        printable = "".join(sign for sign in unicodedata.normalize("NFC", part) if unicodedata.category(sign)[0] != "C")
        clean = _UNWANTED.sub("_", printable).strip(". ")
        if clean:
            stem, ending = PurePosixPath(clean).stem, PurePosixPath(clean).suffix[:16]
            parts.append(stem[: _LONGEST_PART - len(ending)] + ending)
    return "/".join(parts) or "unnamed"


def unique_names(names: Iterable[str]) -> list[str]:
    """`names` made safe; one that is taken already gets a number."""
    taken: set[str] = set()
    result = []
    for name in map(safe_name, names):
        path, number, candidate = PurePosixPath(name), 2, name
        while candidate.casefold() in taken:
            candidate = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
            number += 1
        taken.add(candidate.casefold())
        result.append(candidate)
    return result


def media_type(name: str) -> str | None:
    """The media type that a video's name promises; None when it is no video's name."""
    return MEDIA_TYPES.get(PurePosixPath(name).suffix.lower())


def wanted(name: str, patterns: Sequence[str]) -> bool:
    """Whether a path or its last part matches one of the shell patterns; none given takes all. Case is ignored."""
    low, last = name.lower(), PurePosixPath(name).name.lower()
    return not patterns or any(fnmatch.fnmatchcase(each, pattern.lower()) for pattern in patterns for each in (low, last))
