"""The model catalogue: every model that Kyara knows, as data.

`catalogue.yaml` beside this module names each model's origin, its files with their digests, its inputs and outputs,
and its thresholds. Nothing here is read from inside an ONNX file, so that a client behaves the same whether the
embedded server or Triton answers. A model is either shipped with kyara-miniature (`builtin`) or fetched from the
Hugging Face Hub (`repo`), and lies in a folder of its own in either case.
"""

import csv
import functools
import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

PINS = "pins.json"
BUILTIN_DIGESTS = "builtin_digests.json"
"""Beside this module; written by `python -m kyara_inference.builtin_digests` when the models are trained anew."""
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ModelFile(_Data):
    """One file of a model."""

    path: str
    """Path in the repository, or in the folder of a built-in model."""
    sha256: Sha256 | None = None
    """Digest that a fetched file must have; null while it is not known."""
    size: int | None = None
    """Size in bytes; null while it is not known."""
    serves: str | None = None
    """What to add to the model's name for this file's name on the server, where a model has several ONNX files."""
    batched: bool = True
    """Whether the first dimension of every tensor counts samples that do not touch each other."""
    takes: Literal["FP32", "INT64"] = "FP32"
    """Type of its inputs, as KServe writes it."""
    inputs: dict[str, tuple[int, ...]] = {}
    """Shape by name, of type `takes`; -1 is any. Empty for a file that is not served."""
    outputs: dict[str, tuple[int, ...]] = {}
    """Shape by name, float32; -1 is any."""


class Served(_Data):
    """An ONNX file as the inference server offers it; Triton's model repository is made of these."""

    name: str
    path: str
    """Relative to the model's folder."""
    batched: bool
    takes: str
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]


class _Entry(_Data):
    """What every model has."""

    name: str
    builtin: str | None = None
    """Folder in kyara-miniature's models."""
    repo: str | None = None
    """Repository on the hub."""
    revision: Revision | None = None
    """Commit of `repo`; null while it is not known."""
    licence: str | None
    """As its publisher states it; null where it does not."""
    files: tuple[ModelFile, ...]

    @model_validator(mode="after")
    def _has_one_origin(self) -> "_Entry":
        if (self.builtin is None) == (self.repo is None):
            raise ValueError("give either `builtin` or `repo`")
        return self

    @property
    def pinned(self) -> bool:
        """Whether the catalogue knows exactly which bytes this model is."""
        known = self.revision is not None and all(file.sha256 for file in self.files)
        return self.builtin is not None or known

    @property
    def digest(self) -> str | None:
        """SHA-256 that changes with any byte of the model; None while the catalogue does not know its bytes."""
        if self.builtin is not None:
            return _builtin_digests()[self.builtin]
        if not self.pinned:
            return None
        return hashlib.sha256("".join(f"{file.sha256} {file.path}\n" for file in self.files).encode()).hexdigest()

    def local_name(self, file: ModelFile) -> str:
        """Where a file lies in the model's folder: without the folders that only sort the repository."""
        return PurePosixPath(file.path).name

    def served(self) -> tuple[Served, ...]:
        """The ONNX files, by their names on the inference server."""
        return tuple(
            Served(
                name=f"{self.name}-{file.serves}" if file.serves else self.name,
                path=self.local_name(file),
                batched=file.batched,
                takes=file.takes,
                inputs=file.inputs,
                outputs=file.outputs,
            )
            for file in self.files
            if file.inputs
        )


class DetectorEntry(_Entry):
    """A YOLO detector: `images` [b, 3, h, w] RGB 0..1 -> `output0` [b, 4 + classes, n], centre-size boxes in px."""

    kind: Literal["detector"]
    imgsz: tuple[int, int] = (640, 640)
    """Width and height that every picture is resized to."""
    classes: tuple[str, ...]
    confidence: float
    """Default threshold of the score."""
    iou: float
    """Default overlap from which the weaker of two boxes goes."""


class CcipEntry(_Entry):
    """A CCIP model: `-feat` gives the vector of a picture, `-metrics` the differences of a stack of vectors."""

    kind: Literal["ccip"]
    size: int = 384
    """Side in px that every picture is resized to."""
    published_threshold: float | None = Field(default=None, alias="threshold")
    """Null for a built-in model, whose metrics.json is at hand."""

    @property
    def threshold(self) -> float:
        """Difference up to which two pictures show the same character."""
        if self.published_threshold is not None:
            return self.published_threshold
        return float(json.loads((folder_of(self) / "metrics.json").read_text())["threshold"])


class TaggerEntry(_Entry):
    """A WD14 tagger: `input` [b, 448, 448, 3] BGR 0..255 -> `output` [b, tags], a probability for each tag."""

    kind: Literal["tagger"]
    size: int = 448
    """Side in px of the square that every picture is padded and resized to."""
    general: float
    """Default threshold of general tags."""
    character: float
    """Default threshold of character tags."""

    def labels(self, models: Path | None = None) -> tuple[tuple[str, int], ...]:
        """Name and category (0 general, 4 character, 9 rating) of each output, from the model's own CSV."""
        with (folder_of(self, models) / "selected_tags.csv").open(encoding="utf-8", newline="") as file:
            return tuple((row["name"], int(row["category"])) for row in csv.DictReader(file))


class ClassifierEntry(_Entry):
    """A classifier of pictures: `input` [b, 3, 384, 384] RGB -1..1 -> `output` [b, labels], a probability for each."""

    kind: Literal["classifier"]
    size: int = 384
    """Side in px that every picture is resized to."""

    def labels(self, models: Path | None = None) -> tuple[str, ...]:
        """The word for each output, from the model's own meta.json."""
        return tuple(json.loads((folder_of(self, models) / "meta.json").read_text(encoding="utf-8"))["labels"])


class ClipEntry(_Entry):
    """A CLIP: `-image` gives the vector of a picture, `-text` that of a text, and their cosine is how well they fit.

    `-image`: `pixel_values` [b, 3, size, size], normalised as CLIP's are; `-text`: `input_ids` and `attention_mask` [b, tokens].
    """

    kind: Literal["clip"]
    size: int = 224
    """Side in px of the square that every picture is resized to and cut out of."""
    width: int = 512
    """Of the vectors."""

    def tokenizer(self, models: Path | None = None) -> Path:
        """The file that says how a text becomes tokens, for the `tokenizers` library."""
        return folder_of(self, models) / "tokenizer.json"


class _FolderEntry(_Entry):
    """What is loaded as a folder, in the repository's own layout."""

    def local_name(self, file: ModelFile) -> str:
        """The folder's own layout."""
        return file.path


class DiffusionEntry(_FolderEntry):
    """A diffusers folder of Stable Diffusion 1.5's shape. Not served: trainer and evaluator load it themselves."""

    kind: Literal["diffusion"]


class ConfigEntry(_FolderEntry):
    """A diffusers folder without its weights: what a checkpoint of one file leaves out. Not served."""

    kind: Literal["config"]


ModelEntry = Annotated[
    DetectorEntry | CcipEntry | TaggerEntry | ClassifierEntry | ClipEntry | DiffusionEntry | ConfigEntry,
    Field(discriminator="kind"),
]
E = TypeVar("E", DetectorEntry, CcipEntry, TaggerEntry, ClassifierEntry, ClipEntry, DiffusionEntry)


class UnknownModel(ValueError):
    """The catalogue has no such model, or it is of another kind."""


class ModelMissing(Exception):
    """The model is known, but its files are not on this machine."""


class Catalogue(Mapping[str, ModelEntry]):
    """Models by name; a name that is not there raises UnknownModel with the names that are."""

    def __init__(self, entries: Mapping[str, ModelEntry]) -> None:
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> ModelEntry:
        if name not in self._entries:
            raise UnknownModel(f"no model {name!r} in the catalogue; it has {', '.join(sorted(self._entries))}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def detector(self, name: str) -> DetectorEntry:
        """The detector of that name."""
        return self._of(name, DetectorEntry)

    def ccip(self, name: str) -> CcipEntry:
        """The CCIP model of that name."""
        return self._of(name, CcipEntry)

    def tagger(self, name: str) -> TaggerEntry:
        """The tagger of that name."""
        return self._of(name, TaggerEntry)

    def classifier(self, name: str) -> ClassifierEntry:
        """The classifier of that name."""
        return self._of(name, ClassifierEntry)

    def clip(self, name: str) -> ClipEntry:
        """The CLIP of that name."""
        return self._of(name, ClipEntry)

    def diffusion(self, name: str) -> DiffusionEntry:
        """The base model of that name."""
        return self._of(name, DiffusionEntry)

    def _of(self, name: str, kind: type[E]) -> E:
        entry = self[name]
        if not isinstance(entry, kind):
            fitting = [other.name for other in self.values() if isinstance(other, kind)]
            raise UnknownModel(f"{name!r} is a {entry.kind} model, which does not fit here; {', '.join(fitting)} do")
        return entry


@functools.cache
def catalogue() -> Catalogue:
    """The catalogue that this package ships."""
    text = Path(__file__).with_name("catalogue.yaml").read_text(encoding="utf-8")
    entries = {name: {"name": name, **entry} for name, entry in yaml.safe_load(text).items()}
    return Catalogue(TypeAdapter(dict[str, ModelEntry]).validate_python(entries))


@functools.cache
def _builtin_digests() -> dict[str, str]:
    return json.loads(Path(__file__).with_name(BUILTIN_DIGESTS).read_text(encoding="utf-8"))


def default_models_dir() -> Path:
    """Where `kyara models pull` puts models, and servers look for them, unless told otherwise."""
    return Path.home() / ".cache" / "kyara" / "models"


def local_path(name: str, models: Path | None = None) -> Path:
    """Folder of a model on this machine, with every file of it there. Raises UnknownModel, ModelMissing."""
    return folder_of(catalogue()[name], models)


def folder_of(entry: _Entry, models: Path | None = None) -> Path:
    """Folder of a model on this machine, with every file of it there. Raises ModelMissing."""
    folder = _builtin_folder(entry.name, entry.builtin) if entry.builtin else (models or default_models_dir()) / entry.name
    for file in entry.files:
        if not (folder / entry.local_name(file)).is_file():
            help_ = "reinstall kyara-miniature" if entry.builtin else f"fetch it with `kyara models pull {entry.name}`"
            raise ModelMissing(f"model {entry.name}: {folder / entry.local_name(file)} is not there; {help_}")
    return folder


def _builtin_folder(name: str, builtin: str) -> Path:
    # The package is looked up and not imported: reading a model's files must not start a drawing library.
    found = importlib.util.find_spec("kyara_miniature")
    if found is None or not found.submodule_search_locations:
        raise ModelMissing(f"model {name} is shipped with kyara-miniature, which is not installed: install it")
    return Path(found.submodule_search_locations[0]) / "models" / builtin
