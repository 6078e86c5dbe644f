"""How old what a store keeps is: by its age is told what may be garbage."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FRESH = timedelta(days=1)
"""A blob that is put again after this long is written again, so that its age tells when it was last made or needed anew."""


@dataclass(frozen=True)
class Kept:
    """A blob, named by its SHA-256, or a record, named by its key, as a listing shows it."""

    name: str
    size: int
    written: datetime
    """UTC."""


def is_fresh(written: datetime) -> bool:
    """Whether what was written at this time need not be written again."""
    return datetime.now(UTC) - written < FRESH
