"""`python -m kyara_inference.builtin_digests`: write down which bytes the built-in models are, for the catalogue."""

import hashlib
import json
from pathlib import Path

from kyara_inference.catalogue import BUILTIN_DIGESTS, catalogue, folder_of

CARD = "card.json"
"""How good a model is; no part of it."""


def digest_of_folder(folder: Path) -> str:
    """SHA-256 over the digests and paths of all files of a model."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CARD)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.relative_to(folder).as_posix()}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def builtin_digests() -> dict[str, str]:
    """Digest of each built-in model as it lies on this machine, by folder."""
    return {entry.builtin: digest_of_folder(folder_of(entry)) for entry in catalogue().values() if entry.builtin}


def main() -> None:
    """Write the digests beside the catalogue."""
    text = json.dumps(builtin_digests(), indent=2, sort_keys=True) + "\n"
    Path(__file__).with_name(BUILTIN_DIGESTS).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
