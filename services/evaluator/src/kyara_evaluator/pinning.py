"""LoRA files from anywhere to saves: read without running anything, named as the preview model takes them, by their steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kyara.evaluator.v1.evaluator_pb2 import PinParams
from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts import File, FileSet, Store
from kyara_evaluator.settings import EvaluatorSettings
from kyara_lora import COMMUNITY, BadFile, converted, format_of, read, write
from kyara_stage import Inputs, Outputs, StageContext, StageError

SUFFIX, WORDS = ".safetensors", ".embedding.safetensors"
MEDIA_TYPE = "application/x-safetensors"
_MOST = 200
_LARGEST_WORDS = 64 << 20


@dataclass(frozen=True)
class _Taken:
    """A file that is a LoRA."""

    path: Path
    digest: Digest
    """Of the LoRA in the store."""
    steps: int
    """0 where its metadata does not say."""


async def pin(ctx: StageContext[EvaluatorSettings], params: PinParams, inputs: Inputs) -> Outputs:
    """Take in a LoRA, or those of a folder; in a folder, what is none is set aside."""
    assert not inputs
    path = Path(params.path)
    files = _files_at(path)
    taken: list[_Taken] = []
    for each in ctx.track(files, "reading", "files"):
        try:
            taken.append(_taken(ctx.store, each))
        except (BadFile, OSError) as error:
            if path.is_file():
                raise StageError.invalid(f"evaluator.pin: {error}") from error
            ctx.reject(str(each.relative_to(path)), str(error))
    if not taken:
        raise StageError.invalid(
            f"evaluator.pin: none of the {len(files)} files in {path} is a LoRA that previews can be drawn with"
        )
    return _outputs(ctx.store, _in_order(taken))


def _files_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise StageError.invalid(f"evaluator.pin: there is no file or folder {path}")
    files = sorted(each for each in path.rglob(f"*{SUFFIX}") if each.is_file() and not each.name.endswith(WORDS))
    if not files:
        raise StageError.invalid(f"evaluator.pin: there is no {SUFFIX} file in {path}")
    if len(files) > _MOST:
        raise StageError.invalid(
            f"evaluator.pin: {path} holds {len(files)} files; at most {_MOST} saves are looked at in one run"
        )
    return files


def _taken(store: Store, path: Path) -> _Taken:
    file = read(path)
    # Put away at once: a training's saves together may be larger than memory. Those in other names are the same LoRA.
    digest = store.put(path if format_of(file) == COMMUNITY else write(converted(file, COMMUNITY)))
    told = file.metadata.get("ss_steps", "")
    return _Taken(path, digest, int(told) if told.isascii() and told.isdigit() and len(told) < 9 else 0)


def _in_order(taken: Sequence[_Taken]) -> list[tuple[int, _Taken]]:
    """Each with the step that it stands for: its own, or its place where not all have one of their own."""
    steps = {each.steps for each in taken}
    if len(steps) == len(taken) and 0 not in steps:
        return sorted(((each.steps, each) for each in taken), key=lambda pair: pair[0])
    return list(enumerate(sorted(taken, key=lambda each: (each.steps, each.path)), 1))


def _outputs(store: Store, taken: Sequence[tuple[int, _Taken]]) -> Outputs:
    saves, words = [], []
    for step, each in taken:
        saves.append(_file(each.path.name, each.digest, step))
        beside = each.path.with_name(each.path.name.removesuffix(SUFFIX) + WORDS)
        if beside.is_file() and beside.stat().st_size <= _LARGEST_WORDS:
            words.append(_file(beside.name, store.put(beside), step))
    outputs = {"saves": FileSet(files=tuple(saves)).save(store)}
    return outputs | ({"embeddings": FileSet(files=tuple(words)).save(store)} if words else {})


def _file(name: str, digest: Digest, step: int) -> File:
    return File(name=name, sha256=digest.sha256, size=digest.size_bytes, media_type=MEDIA_TYPE, meta={"step": step})
