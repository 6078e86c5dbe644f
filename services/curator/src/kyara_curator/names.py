"""Names of pictures that the curator makes: safe as file names anywhere, and unique in their set."""

import re
from pathlib import PurePosixPath

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 80


def safe_stem(name: str) -> str:
    """`name` without its ending, as relative path of plain ASCII words; never empty, never upwards."""
    parts = [_UNSAFE.sub("_", part).strip("._")[-_LONGEST:] for part in PurePosixPath(name).with_suffix("").parts]
    return "/".join(part for part in parts if part) or "picture"


class UniqueNames:
    """Gives each name once; a name that is taken gets a number."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, stem: str, ending: str = ".png") -> str:
        """`stem` with its ending, with `_2`, `_3`, ... between them when it was given before.

        Names that differ only in case count as the same, as they do on some file systems.
        """
        number, name = 1, f"{stem}{ending}"
        while name.lower() in self._taken:
            number += 1
            name = f"{stem}_{number}{ending}"
        self._taken.add(name.lower())
        return name
