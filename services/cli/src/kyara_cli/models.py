"""`kyara models list|pull`: the catalogue, and fetching production models from a hub."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from kyara_cli.exits import CommandError, Exit
from kyara_cli.options import AsJson
from kyara_cli.output import console, print_json
from kyara_inference.catalogue import UnknownModel, catalogue, default_models_dir
from kyara_inference.pull import PullError, pull

app = typer.Typer(help="The model catalogue.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Option(envvar="KYARA_MODELS_DIR", help="Where pulled models lie.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Every model that Kyara knows."""
    entries = list(catalogue().values())
    if as_json:
        print_json({"models": [entry.model_dump(mode="json") for entry in entries]})
        return
    table = Table(box=None, header_style="dim")
    for column in ("model", "kind", "from", "licence"):
        table.add_column(column)
    for entry in entries:
        table.add_row(entry.name, entry.kind, entry.repo or "ships with Kyara", entry.licence or "not stated")
    console.print(table)


@app.command("pull")
def pull_model(
    name: Annotated[str, typer.Argument(help="A model's name in the catalogue.")],
    to: Folder = None,
    pin: Annotated[bool, typer.Option(help="Take what the hub has now and record it, where the catalogue pins nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a production model: its pinned revision, resumable, every digest checked."""
    try:
        entry = catalogue()[name]
    except (UnknownModel, KeyError) as error:
        raise CommandError(Exit.NOT_FOUND, f"no model is called {name!r}; `kyara models list` shows all") from error
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=as_json) as bars:
        tasks: dict[str, TaskID] = {}

        def show(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file)
            bars.update(tasks[file], completed=done, total=total or None)

        try:
            folder = pull(entry, to or default_models_dir(), pin=pin, on_progress=show)
        except PullError as error:
            raise CommandError(Exit.CANNOT_BE_DONE, str(error)) from error
    if as_json:
        print_json({"model": name, "folder": str(folder)})
    else:
        console.print(f"{name} is in {folder}")
