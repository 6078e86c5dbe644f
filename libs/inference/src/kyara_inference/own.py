"""Base models of the user's own, and the one way from a base model's name to its folder.

`kyara models add` (`adding.py`) puts them into the folder of models, and a recipe calls them `own/NAME`, which no model of the
catalogue is called:

    {models}/own/NAME/origin.json        where it came from, and the SHA-256 of each file
    {models}/own/NAME/{digest}/...       a diffusers folder; or CHECKPOINT, and beside it the folder's small files

The folder is called by its content, so that another model under the same name is another folder: whoever has the one
in memory, or is told its path, never takes the other for it.
"""

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from kyara_inference.catalogue import ModelMissing, Sha256, UnknownModel, catalogue, default_models_dir, folder_of

OWN = "own/"
OWN_NAME = re.compile(r"own/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
ORIGIN = "origin.json"
INDEX = "model_index.json"
CHECKPOINT = "checkpoint.safetensors"
"""A model as one file, in the layout of CompVis' latent diffusion; the folder then has no weights beside it."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class OwnFile(_Record):
    """A file as it was when it was added."""

    sha256: Sha256
    size: int
    mtime_ns: int
    """While size and time are the same, the bytes are not read again to know that they are."""

    @classmethod
    def at(cls, path: Path) -> "OwnFile":
        """The file as it is now."""
        now = path.stat()
        return cls(sha256=_sha256(path), size=now.st_size, mtime_ns=now.st_mtime_ns)


class Origin(_Record):
    """What `origin.json` says of a model."""

    source: str
    """The folder or file that it was copied from, or `hub:OWNER/REPO@COMMIT`."""
    pipeline: str
    """diffusers' name for its family."""
    files: dict[str, OwnFile]
    """By their path in the folder."""

    @property
    def digest(self) -> str:
        """SHA-256 that changes with any byte of the model."""
        lines = (f"{file.sha256} {path}\n" for path, file in sorted(self.files.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def is_own(name: str) -> bool:
    """Whether `name` is that of a user's model, and no model's of the catalogue."""
    return name.startswith(OWN)


def home_of(name: str, models: Path | None = None) -> Path:
    """The folder of all that is kept of the model `own/NAME`. Raises UnknownModel for what can be no such name."""
    if not OWN_NAME.fullmatch(name):
        raise UnknownModel(
            f"{name!r} is no name of an own model: {OWN} and at most 64 letters, digits, `.`, `_` and `-` of ASCII"
        )
    return (models or default_models_dir()) / name


def origin_of(name: str, models: Path | None = None) -> Origin:
    """What was recorded of `own/NAME`. Raises UnknownModel, ModelMissing."""
    path = home_of(name, models) / ORIGIN
    add = f"`kyara models add {name.removeprefix(OWN)} SOURCE`"
    if not path.is_file():
        raise ModelMissing(
            f"model {name} is not in {path.parent}; put it there with {add}, on every machine that trains or draws"
        )
    try:
        return Origin.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ModelMissing(f"model {name}: {path} is damaged; delete {path.parent} and run {add} again") from error


def own_digest(name: str, models: Path | None = None) -> str:
    """SHA-256 that changes with any byte of `own/NAME`, whose files are as they were added. Raises UnknownModel, ModelMissing."""
    origin = origin_of(name, models)
    _check(name, origin, _folder(name, origin, models))
    return origin.digest


def own_models(models: Path | None = None) -> Iterator[tuple[str, Origin]]:
    """The user's models that are recorded here, by name."""
    for path in sorted(((models or default_models_dir()) / OWN).glob(f"*/{ORIGIN}")):
        name = f"{OWN}{path.parent.name}"
        yield name, origin_of(name, models)


def base_model(name: str, models: Path | None = None) -> Path:
    """Folder of a base model on this machine, of the catalogue or the user's own, with every file there.

    Raises UnknownModel, ModelMissing.
    """
    if not is_own(name):
        return folder_of(catalogue().diffusion(name), models)
    origin = origin_of(name, models)
    folder = _folder(name, origin, models)
    _check(name, origin, folder)
    return folder


def pipeline_of(folder: Path) -> str:
    """diffusers' name for the family of the model in `folder`; empty when it says none."""
    index = folder / INDEX
    return str(json.loads(index.read_bytes()).get("_class_name", "")) if index.is_file() else ""


def _folder(name: str, origin: Origin, models: Path | None) -> Path:
    return home_of(name, models) / origin.digest[:16]


def _check(name: str, origin: Origin, folder: Path) -> None:
    """Raise ModelMissing unless every file is there and holds what it held when it was added."""
    again = f"`kyara models add {name.removeprefix(OWN)} SOURCE --replace`"
    for path, was in origin.files.items():
        if not (folder / path).is_file():
            raise ModelMissing(f"model {name}: {folder / path} is not there; add it again with {again}")
        now = (folder / path).stat()
        untouched = (now.st_size, now.st_mtime_ns) == (was.size, was.mtime_ns)
        if not untouched and _sha256_when(folder / path, now.st_size, now.st_mtime_ns) != was.sha256:
            raise ModelMissing(f"model {name}: {folder / path} was changed since it was added; if it should be so, {again}")


# A copy of the folder has other times: its gigabytes are read once by each process, and not for each action.
@functools.lru_cache(maxsize=256)
def _sha256_when(path: Path, size: int, mtime_ns: int) -> str:
    del size, mtime_ns  # they tell one content from the next
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
