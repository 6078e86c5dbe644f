"""Zip archives, written entry by entry, so that a season needs no more memory than a picture does."""

import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

# The oldest time that a zip can hold.
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_UNIX = 3


@dataclass(frozen=True)
class Archive:
    """A zip that is written when it is needed, not when it is described."""

    entries: Callable[[], Iterable[tuple[str, bytes]]]
    """Gives each file's path and content, the same ones in the same order each time."""

    def write(self, path: Path) -> None:
        """Write it to `path`, holding one entry at a time. The same entries give the same bytes on every machine.

        Nothing is deflated: pictures and weights get no smaller, and another zlib would give other bytes.
        """
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, data in self.entries():
                entry = zipfile.ZipInfo(name, _TIME)
                entry.create_system = _UNIX
                entry.external_attr = _MODE
                archive.writestr(entry, data)
