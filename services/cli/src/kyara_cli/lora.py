"""`kyara lora info|convert`: what a LoRA file is, and the same one for other programs."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.table import Table

from kyara_cli.exits import CommandError, Exit
from kyara_cli.options import AsJson
from kyara_cli.output import console, print_json
from kyara_lora import FORMATS, BadFile, LoraFile, Part, Summary, converted, format_of, read, summary_of, write

app = typer.Typer(help="LoRA files, from here or anywhere.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="A .safetensors file.")]
_TOLD = (
    ("ss_output_name", "name"), ("modelspec.trigger_phrase", "trigger"), ("ss_sd_model_name", "base model"),
    ("ss_steps", "steps"), ("ss_epoch", "epoch"),
    ("ss_num_train_images", "pictures"), ("ss_resolution", "resolution"), ("ss_clip_skip", "clip skip"),
    ("ss_optimizer", "optimizer"), ("ss_unet_lr", "UNet's learning rate"), ("ss_text_encoder_lr", "text encoder's"),
)  # fmt: skip


@app.command()
def info(file: File, as_json: AsJson = False) -> None:
    """What a LoRA file is: its kind, ranks and scales, what it was trained on, and whether it is sound."""
    try:
        summary = summary_of(_read(file))
    except BadFile as error:
        _refuse(file, error)
    if as_json:
        print_json(asdict(summary))
        return
    table = Table(box=None, show_header=False)
    for what, value in _rows(summary):
        table.add_row(f"[dim]{what}", value, style=None)
    console.print(table, highlight=False)


@app.command()
def convert(
    file: File,
    to: Annotated[str, typer.Option(help=f"How its parts are to be named: {' or '.join(FORMATS)}.")],
    out: Annotated[Path | None, typer.Option(help="Where to write it; beside FILE when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """The same LoRA for other programs: `community` for A1111, ComfyUI and sd-scripts, `diffusers` for diffusers and peft."""
    if to not in FORMATS:
        raise CommandError(Exit.INVALID, f"--to {to}: there are {' and '.join(FORMATS)}")
    target = out or file.with_name(f"{file.stem}-{to}.safetensors")
    if target.exists():
        raise CommandError(Exit.INVALID, f"{target} is there already; give another name with --out")
    given = _read(file)
    try:
        was, changed = format_of(given), converted(given, to)
    except BadFile as error:
        _refuse(file, error)
    target.write_bytes(write(changed))
    if as_json:
        print_json({"file": str(target), "from": was, "to": to, "tensors": len(changed.tensors)})
    else:
        console.print(f"{target}: {len(changed.tensors)} tensors, {was} to {to}", markup=False, highlight=False)


def _read(file: Path) -> LoraFile:
    try:
        return read(file)
    except OSError as error:
        raise CommandError(Exit.INVALID, f"{file} cannot be read: {error.strerror}") from error
    except BadFile as error:
        raise CommandError(Exit.INVALID, str(error)) from error


def _refuse(file: Path, error: BadFile) -> NoReturn:
    raise CommandError(Exit.INVALID, f"{file}: {error}") from error


def _rows(summary: Summary) -> list[tuple[str, str]]:
    rows = [
        ("what", f"{summary.kind} for {summary.architecture}, {summary.format} names, {' and '.join(summary.dtypes)}"),
        *((part.name, _part(part)) for part in summary.parts),
        ("sound", _sound(summary)),
    ]
    rows += [(what, summary.metadata[key]) for key, what in _TOLD if summary.metadata.get(key) not in (None, "", "None")]
    if summary.tags:
        rows.append(("tags", ", ".join(f"{tag} ({count})" for tag, count in summary.tags)))
    return rows


def _part(part: Part) -> str:
    ranks = ", ".join(str(rank) for rank in sorted(part.ranks))
    scales = ", ".join(f"{scale:g}" for scale in sorted(part.scales))
    return f"{part.modules} modules, rank {ranks}, scale {scales}, changes weights by {part.strength:.2g} (root mean square)"


def _sound(summary: Summary) -> str:
    if summary.not_finite:
        return f"[red]no: {summary.not_finite} tensors hold NaN or infinite numbers; it draws noise"
    if summary.hash_fits is False:
        return "[yellow]its tensors are not those that its own hash names: somebody changed them"
    return "[green]yes" + (", and as its own hash says" if summary.hash_fits else "")
