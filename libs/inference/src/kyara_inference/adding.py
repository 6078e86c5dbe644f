"""Put a base model of the user's own into the folder of models: `kyara models add`.

From a diffusers folder, a Stable Diffusion 1.5 checkpoint of one file, or a diffusers folder on a hub at one commit.
Only configs, tokenizers and weights in safetensors are taken, and all is checked before a name leads to it.
"""

import json
import re
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import RepoFile

from kyara_inference.catalogue import PINS, DiffusionEntry, ModelFile, ModelMissing, catalogue, folder_of
from kyara_inference.checkpoint import UnfitModel, check_sizes, sd15_shapes, shapes_of
from kyara_inference.own import CHECKPOINT, INDEX, ORIGIN, Origin, OwnFile, home_of, origin_of, own_digest
from kyara_inference.pull import OnProgress, PullError, commit_of, pull

HUB = "hub:"
CONFIG = "sd15-config"
"""The catalogue's entry for what a checkpoint of one file leaves out."""
SD15, SDXL = "StableDiffusionPipeline", "StableDiffusionXLPipeline"
LARGEST_TEXT = 32 << 20
"""Bytes of a config or a tokenizer's file; the largest that is known has 4 MB."""
_SD15_PARTS = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")
_PARTS = {SD15: _SD15_PARTS, SDXL: (*_SD15_PARTS, "text_encoder_2", "tokenizer_2")}
_WEIGHTS = {
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
    "text_encoder_2": "model.safetensors",
}
_CONFIGS = dict.fromkeys(_WEIGHTS, "config.json") | dict.fromkeys(("tokenizer", "tokenizer_2"), "tokenizer_config.json")
_CONFIGS["scheduler"] = "scheduler_config.json"
_TEXTS = (".json", ".txt")
_CONVERT_FOLDER = (
    'python -c "import sys; from diffusers import DiffusionPipeline; '
    'DiffusionPipeline.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[2])" folder converted'
)
_FETCHING = ".fetching-"
_ON_HUB = re.compile(r"([\w.-]+/[\w.-]+)@([\w./-]+)", re.ASCII)


def add(
    name: str,
    source: str,
    models: Path | None = None,
    *,
    replace: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[Path, Origin]:
    """Put `source` into the folder `models` as `own/NAME` (`name`); its folder there, and what was recorded.

    `source` is a diffusers folder, a `.safetensors` file, or `hub:OWNER/REPO@REVISION`; a download that was stopped goes on
    where it was. The same again changes nothing; something else under a name that is taken needs `replace`.

    Raises UnknownModel for a name that can be none, UnfitModel, ModelMissing when what a file leaves out is not there,
    PullError, OSError.
    """
    home = home_of(name, models)
    home.mkdir(parents=True, exist_ok=True)
    try:
        if source.startswith(HUB):
            hub = {"endpoint": endpoint, "token": token}
            origin = _from_hub(home, name, source, replace, hub, on_progress)
        elif Path(source).is_dir():
            origin = _from_folder(home, Path(source))
        elif Path(source).is_file():
            origin = _from_file(home, Path(source), models)
        else:
            raise UnfitModel(f"there is no {source}; give a diffusers folder, a .safetensors file, or {HUB}OWNER/REPO@REVISION")
        return _settled(home, name, origin, replace), origin
    finally:
        shutil.rmtree(_part(home), ignore_errors=True)
        if not any(home.iterdir()):
            home.rmdir()


def chosen(listing: Collection[str], pipeline: str, where: str) -> list[str]:
    """Which of the files of a diffusers folder are needed, of all its paths. Raises UnfitModel when one is missing."""
    if pipeline not in _PARTS:
        raise UnfitModel(f"{where} is a {pipeline or 'model of no pipeline'}; a base model is a {' or a '.join(_PARTS)}")
    files = [INDEX]
    for part in _PARTS[pipeline]:
        inside = [path for path in listing if path.startswith(f"{part}/") and path.count("/") == 1]
        if part in _WEIGHTS:
            files.append(_weights(part, inside, where))
        texts = [path for path in inside if path.endswith(_TEXTS) and not path.endswith(".index.json")]
        if f"{part}/{_CONFIGS[part]}" not in texts:
            raise UnfitModel(f"{where} has no {part}/{_CONFIGS[part]}; is it whole?")
        files += texts
    return sorted(files)


def _weights(part: str, inside: Collection[str], where: str) -> str:
    wanted = f"{part}/{_WEIGHTS[part]}"
    if wanted in inside:
        return wanted
    if variants := sorted(path for path in inside if path.endswith(".safetensors")):
        raise UnfitModel(
            f"{where} has {', '.join(variants)} but no {wanted}; save it without a variant, in one piece for each part"
        )
    if any(path.endswith(".bin") for path in inside):
        raise UnfitModel(
            f"{where} has the weights of its {part} only as a pickle (.bin), which runs whatever its maker put into it; "
            f"ask for safetensors, or convert it on a machine that you can lose: {_CONVERT_FOLDER}"
        )
    raise UnfitModel(f"{where} has no {wanted}; is it whole?")


def _from_folder(home: Path, source: Path) -> Origin:
    if not (source / INDEX).is_file():
        raise UnfitModel(
            f"{source} is no diffusers folder: it has no {INDEX}; give the folder that has one, or a checkpoint's .safetensors"
        )
    # What is listed is only looked for; a link leads where its owner wants, as in the hub's own cache.
    listing = [path.relative_to(source).as_posix() for path in source.glob("*/*") if path.is_file()]
    files = chosen(listing, _pipeline(source), str(source))
    _check(source, files)
    return _copied(home, {path: source / path for path in files}, str(source.resolve()))


def _from_file(home: Path, source: Path, models: Path | None) -> Origin:
    # What is refused anyway needs no configs.
    shapes = sd15_shapes(source)
    config = catalogue()[CONFIG]
    beside = folder_of(config, models)
    texts = {config.local_name(file): beside / config.local_name(file) for file in config.files}
    _check(beside, texts)
    check_sizes(source, shapes, beside)
    return _copied(home, {CHECKPOINT: source, **texts}, str(source.resolve()))


def _from_hub(
    home: Path, name: str, source: str, replace: bool, hub: dict[str, str | None], on_progress: OnProgress | None
) -> Origin:
    written = _ON_HUB.fullmatch(source.removeprefix(HUB))
    if written is None:
        raise UnfitModel(f"{source!r}: write {HUB}OWNER/REPO@REVISION; a commit, a branch or a tag is a revision")
    repo, revision = written.groups()
    index = _entry(name, repo, None, {INDEX: None})
    commit = commit_of(index, revision, **hub)
    where = f"{HUB}{repo}@{commit}"
    with suppress(ModelMissing):
        before = origin_of(name, home.parent.parent)
        if before.source != where and not replace:
            raise _taken(name, before)
        if before.source == where and own_digest(name, home.parent.parent):
            return before
    # Called by the commit, so that a download goes on only with its own beginning.
    fetching = home / f"{_FETCHING}{commit[:12]}"
    listing = _listing(repo, commit, hub)
    how: dict[str, Any] = {"pin": True, "on_progress": on_progress, **hub}
    try:
        first = pull(_entry(name, repo, commit, {INDEX: listing.get(INDEX)}), fetching, **how)
        files = chosen(listing, _pipeline(first), where)
        folder = pull(_entry(name, repo, commit, {path: listing[path] for path in files}), fetching, **how)
        _check(folder, files)
    except UnfitModel:
        shutil.rmtree(fetching)
        raise
    (folder / PINS).unlink()
    folder.rename(_emptied(home))
    shutil.rmtree(fetching)
    return _recorded(_part(home), files, where)


def _entry(name: str, repo: str, commit: str | None, files: Mapping[str, str | None]) -> DiffusionEntry:
    return DiffusionEntry(
        name=name,
        kind="diffusion",
        repo=repo,
        revision=commit,
        licence=None,
        files=tuple(ModelFile(path=path, sha256=sha256) for path, sha256 in files.items()),
    )


def _listing(repo: str, commit: str, hub: dict[str, str | None]) -> dict[str, str | None]:
    """All files of a repository at a commit, with the SHA-256 of those that the hub knows it of. Raises PullError."""
    try:
        api = HfApi(endpoint=hub["endpoint"], token=hub["token"])
        found = list(api.list_repo_tree(repo, recursive=True, revision=commit))
    except (HfHubHTTPError, httpx2.TransportError) as error:
        raise PullError(f"the files of {repo}@{commit} cannot be listed: {error}; is HF_ENDPOINT right?") from error
    return {each.path: each.lfs.sha256 if each.lfs else None for each in found if isinstance(each, RepoFile)}


def _pipeline(folder: Path) -> str:
    """The family of the model in `folder`, whose index names no code but diffusers' and transformers'. Raises UnfitModel."""
    index = _json(folder / INDEX)
    pipeline = index.get("_class_name")
    for part in _PARTS.get(str(pipeline), ()):
        named = index.get(part)
        library = named[0] if isinstance(named, list) and named else None
        if library not in ("diffusers", "transformers"):
            raise UnfitModel(
                f"{folder / INDEX}: its {part} is of {library or 'nothing'}; only diffusers and transformers are run"
            )
    return pipeline if isinstance(pipeline, str) else ""


def _check(folder: Path, files: Collection[str]) -> None:
    """Raise UnfitModel unless every file in `folder` is sane, and the model none that only looks like one of 1.5."""
    for path in files:
        if path.endswith(".safetensors"):
            shapes_of(folder / path, _CONVERT_FOLDER)
        elif (size := (folder / path).stat().st_size) > LARGEST_TEXT:
            raise UnfitModel(f"{folder / path}: {size} bytes are no config and no tokenizer")
        elif path.endswith(".json"):
            _json(folder / path)
    if _pipeline(folder) == SD15 and _json(folder / "unet" / "config.json").get("use_linear_projection"):
        raise UnfitModel(f"{folder}: this is Stable Diffusion 2; a base model is Stable Diffusion 1.5 or XL")


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UnfitModel(f"{path}: no JSON: {error}") from error
    if not isinstance(value, dict):
        raise UnfitModel(f"{path}: no JSON object")
    return value


def _copied(home: Path, files: Mapping[str, Path], source: str) -> Origin:
    part = _emptied(home)
    for path, original in files.items():
        (part / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original, part / path)
    return _recorded(part, files, source)


def _recorded(part: Path, files: Collection[str], source: str) -> Origin:
    return Origin(source=source, pipeline=_pipeline(part), files={path: OwnFile.at(part / path) for path in sorted(files)})


def _part(home: Path) -> Path:
    """Where a model is put together; it gets its own name when it is whole."""
    return home / ".part"


def _emptied(home: Path) -> Path:
    shutil.rmtree(_part(home), ignore_errors=True)
    return _part(home)


def _taken(name: str, before: Origin) -> UnfitModel:
    return UnfitModel(f"{name} is there already, from {before.source}; take another name, or --replace it")


def _settled(home: Path, name: str, origin: Origin, replace: bool) -> Path:
    """Give what was put together its name, and let go of what was there before."""
    folder, models = home / origin.digest[:16], home.parent.parent
    with suppress(ModelMissing):
        before = origin_of(name, models)
        if before.digest != origin.digest and not replace:
            raise _taken(name, before)
        if own_digest(name, models) == origin.digest:
            return folder
    if folder.exists():
        shutil.rmtree(folder)
    _part(home).rename(folder)
    record = home / f"{ORIGIN}.part"
    record.write_text(origin.model_dump_json(indent=2) + "\n", encoding="utf-8")
    record.replace(home / ORIGIN)
    for other in home.iterdir():
        if other.is_dir() and other != folder:
            shutil.rmtree(other)
    return folder
