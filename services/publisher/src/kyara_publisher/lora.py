"""The repository of a LoRA: every save with its previews, the best step first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts import FileSet, Image, ImageSet, Store
from kyara_inference import catalogue
from kyara_publisher.archives import Archive
from kyara_publisher.repository import README, Files, json_file, safe_name, table

_MARKS = {"recscore": "RecScore", "fidelity": "fidelity", "control": "control", "copies": "copies"}
"""Scores of a save that its page shows, and what they are called there."""

_REPORT = "report.html"
_USE_OF_WORDS = (
    "Each step's `.embedding.safetensors` holds words that were trained with it: put it where your program keeps embeddings, and "
    "write the file's name where the prompts here have the trigger.\n"
)


@dataclass(frozen=True)
class Lora:
    """What is published of a character."""

    name: str
    trigger: str
    recipe: str
    base_model: str
    saves: FileSet
    embeddings: FileSet
    """Words of the saves' own, a file for each; empty where none were trained."""
    previews: ImageSet
    scores: Mapping[str, Any]
    sheet: Digest
    curve: Digest
    report: Digest | None
    """The page of the run; saves that were judged before there was one have none."""
    dataset: ImageSet
    dataset_sha256: str


def lora_repository(store: Store, lora: Lora) -> Files:
    """`{step}/{name}.safetensors`, `{step}/{name}.zip`, `{step}/previews/`, `report.html`, `meta.json`, `README.md`."""
    name = safe_name(lora.name)
    prompts = {prompt["name"]: prompt for prompt in lora.scores["prompts"]}
    files: Files = {"previews.png": lora.sheet, "scores.png": lora.curve}
    if lora.report:
        files[_REPORT] = lora.report
    for save in lora.saves:
        step = int(save.meta["step"])
        shown = _previews(step, lora.previews, prompts)
        files |= {f"{step}/previews/{path}": data for path, data in shown.items()}
        models = {f"{name}.safetensors": save.digest, **_words(name, step, lora.embeddings)}
        files |= {f"{step}/{path}": digest for path, digest in models.items()}
        files[f"{step}/{name}.zip"] = _archive(store, models, shown)
    files["meta.json"] = json_file(_meta(lora))
    files[README] = _readme(lora, name)
    return files


def _previews(step: int, previews: ImageSet, prompts: Mapping[str, Mapping[str, Any]]) -> dict[str, bytes | Digest]:
    files: dict[str, bytes | Digest] = {}
    for preview in previews:
        if preview.step == step and preview.prompt:
            stem = safe_name(preview.prompt)
            files[f"{stem}.png"] = preview.digest
            files[f"{stem}_info.txt"] = _info(preview, prompts.get(preview.prompt, {}))
    return files


def _info(preview: Image, prompt: Mapping[str, Any]) -> bytes:
    lines = [
        str(prompt.get("text", "")),
        f"Negative prompt: {prompt.get('negative', '')}",
        f"Seed: {preview.seed}, Size: {preview.width}x{preview.height}, Step: {preview.step}",
    ]
    return "\n".join(lines).encode()


def _words(name: str, step: int, embeddings: FileSet) -> dict[str, Digest]:
    return {f"{name}.embedding.safetensors": file.digest for file in embeddings if file.meta["step"] == step}


def _archive(store: Store, models: Mapping[str, Digest], shown: Mapping[str, bytes | Digest]) -> Archive:
    def entries() -> Iterator[tuple[str, bytes]]:
        yield from ((path, store.get(digest)) for path, digest in models.items())
        for path, data in sorted(shown.items()):
            yield f"previews/{path}", data if isinstance(data, bytes) else store.get(data)

    return Archive(entries)


def _meta(lora: Lora) -> dict[str, Any]:
    return {
        "name": lora.name,
        "trigger": lora.trigger,
        "core_tags": _core_tags(lora),
        "recipe": lora.recipe,
        "base_model": lora.base_model,
        "dataset": {"images": len(lora.dataset), "sha256": lora.dataset_sha256},
        "steps": [int(save.meta["step"]) for save in lora.saves],
        "scores": {str(step["step"]): {key: step.get(key) for key in _MARKS} for step in lora.scores["steps"]},
        "score_without_lora": lora.scores["base"]["recscore"],
        "best_step": lora.scores["best_step"],
        "rule": lora.scores["rule"],
        "licence": _licence(lora.base_model),
        "kyara": version("kyara-publisher"),
    }


def _licence(base_model: str) -> str | None:
    """The base model's, which covers what is made from it; None where nobody said."""
    return catalogue()[base_model].licence if base_model in catalogue() else None


def _license(licence: str | None) -> str:
    """A hub's line for it, in its own spelling."""
    return f"license: {licence.lower()}\n" if licence else ""


def _core_tags(lora: Lora) -> list[str]:
    return [str(tag) for tag in lora.dataset.meta.get("core_tags", [])]


def _readme(lora: Lora, name: str) -> bytes:
    best = lora.scores["best_step"]
    words = ", ".join([lora.trigger, *(tag.replace("_", " ") for tag in _core_tags(lora))])
    prompts = [prompt["name"] for prompt in lora.scores["prompts"]]
    steps = sorted(lora.scores["steps"], key=lambda each: (each["step"] != best, -each["step"]))
    rows = [_row(step, best, name, prompts) for step in steps]
    licence = _licence(lora.base_model)
    parts = [
        f"---\n{_license(licence)}pipeline_tag: text-to-image\ntags:\n- art\n- lora\n- kyara\n---\n",
        f"# {lora.name}\n",
        f"Trigger words: `{words}`\n",
        f"Best step: **{best}** of {max(step['step'] for step in steps)}, chosen by: {lora.scores['rule']}. "
        f"RecScore without the LoRA: {lora.scores['base']['recscore']:.3f}.\n",
        *([_USE_OF_WORDS] if lora.embeddings.files else []),
        f"Trained on `{lora.base_model}` by recipe `{lora.recipe}` from {len(lora.dataset)} pictures "
        f"(dataset `{lora.dataset_sha256[:12]}`) with Kyara {version('kyara-publisher')}. "
        f"Licence: that of the base model{f', {licence}' if licence else ''}.\n",
        *([f"All of it on one page: [{_REPORT}]({_REPORT}), to be opened in a browser.\n"] if lora.report else []),
        "![scores](scores.png)\n",
        "![previews](previews.png)\n",
        table(["step", *_MARKS.values(), "file", *prompts], rows),
        "Why each save was chosen or not:\n",
        table(["step", "why"], [[str(step["step"]), step.get("why", "")] for step in steps]),
    ]
    return ("\n".join(parts) + "\n").encode()


def _row(step: Mapping[str, Any], best: int, name: str, prompts: list[str]) -> list[str]:
    number = step["step"]
    shown = [f"![{prompt}]({number}/previews/{safe_name(prompt).replace(' ', '%20')}.png)" for prompt in prompts]
    label = f"**{number}**" if number == best else str(number)
    return [label, *(_mark(step.get(key)) for key in _MARKS), f"[{name}]({number}/{name}.zip)".replace(" ", "%20"), *shown]


def _mark(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
