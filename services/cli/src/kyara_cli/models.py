"""`kyara models list|pull|add|repository`: the catalogue, models from a hub, base models of one's own, what Triton serves."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from kyara.jobs.v1.jobs_pb2 import ListRecipesRequest
from kyara_artifacts import StoreError
from kyara_cli.client import CALL_WITHIN_S, jobs_at
from kyara_cli.exits import CommandError, Exit
from kyara_cli.options import Address, AsJson
from kyara_cli.output import console, print_json
from kyara_inference.catalogue import ModelEntry, ModelMissing, UnknownModel, catalogue, default_models_dir, folder_of
from kyara_inference.own import OWN, own_models
from kyara_inference.pull import OnProgress, PullError, pull

app = typer.Typer(help="The model catalogue.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Option(envvar="KYARA_MODELS_DIR", help="Where pulled models lie.")]


@app.command("list")
def list_models(models: Folder = None, as_json: AsJson = False) -> None:
    """Every model that Kyara knows, and the base models of your own that are here."""
    entries = list(catalogue().values())
    try:
        own = list(own_models(models))
    except (ModelMissing, UnknownModel) as error:
        raise CommandError(Exit.CANNOT_BE_DONE, str(error)) from error
    if as_json:
        shown = [{"name": name, "kind": "diffusion", "digest": each.digest, **each.model_dump()} for name, each in own]
        print_json({"models": [entry.model_dump(mode="json") for entry in entries] + shown})
        return
    table = Table(box=None, header_style="dim")
    for column in ("model", "kind", "from", "licence"):
        table.add_column(column)
    for entry in entries:
        table.add_row(entry.name, entry.kind, entry.repo or "ships with Kyara", entry.licence or "not stated")
    for name, each in own:
        table.add_row(name, "diffusion", Text(each.source), "yours")
    console.print(table)


@app.command("pull")
def pull_model(
    name: Annotated[str, typer.Argument(help="A model's name in the catalogue.")],
    to: Folder = None,
    pin: Annotated[bool, typer.Option(help="Take what the hub has now and record it, where the catalogue pins nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a production model: its pinned revision, resumable, every digest checked."""
    entry = _entry(name)
    with _progress(as_json) as show:
        try:
            folder = pull(entry, to or default_models_dir(), pin=pin, on_progress=show)
        except PullError as error:
            raise CommandError(Exit.CANNOT_BE_DONE, str(error)) from error
    if as_json:
        print_json({"model": name, "folder": str(folder)})
    else:
        console.print(f"{name} is in {folder}")


@app.command("add")
def add_model(
    name: Annotated[str, typer.Argument(help="What to call it; recipes then name it own/NAME.")],
    source: Annotated[str, typer.Argument(metavar="FOLDER|FILE|hub:OWNER/REPO@REVISION", help="Where it is now.")],
    to: Folder = None,
    replace: Annotated[bool, typer.Option(help="Let go of the other model that has the name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a base model of your own: a diffusers folder, a Stable Diffusion 1.5 checkpoint (.safetensors), or a hub's folder."""
    # It reads headers of weights, which no other command needs.
    from kyara_inference.adding import add
    from kyara_inference.checkpoint import UnfitModel

    name = OWN + name.removeprefix(OWN)
    try:
        with _progress(as_json) as show:
            folder, origin = add(name, source, to, replace=replace, on_progress=show)
    except (UnknownModel, UnfitModel) as error:
        raise CommandError(Exit.INVALID, str(error)) from error
    except (ModelMissing, PullError, OSError) as error:
        raise CommandError(Exit.CANNOT_BE_DONE, str(error)) from error
    if as_json:
        print_json({"model": name, "folder": str(folder), "source": origin.source, "digest": origin.digest})
    else:
        console.print(f"{name} is in {folder}; in a recipe: `training: {{base_model: {name}}}`", highlight=False, markup=False)


@contextmanager
def _progress(hidden: bool) -> Iterator[OnProgress]:
    """A bar for each file that is fetched."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=hidden) as bars:
        tasks: dict[str, TaskID] = {}

        def show(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file)
            bars.update(tasks[file], completed=done, total=total or None)

        yield show


@app.command()
def repository(
    to: Annotated[str, typer.Option(metavar="FOLDER|s3://BUCKET/PREFIX", help="Where; an s3:// may name its ?endpoint=.")],
    recipe: Annotated[str, typer.Option(help="All that this recipe needs; the jobs service at --address knows them.")] = "",
    model: Annotated[list[str], typer.Option(help="This one; give one for each. Without any: all that are here.")] = [],  # noqa: B006
    gpu: Annotated[bool, typer.Option(help="Have Triton run them on graphics cards.")] = False,
    instances: Annotated[int, typer.Option(min=1, help="Copies of each model that Triton runs at a time, on each card.")] = 1,
    models: Folder = None,
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """Write the model repository that NVIDIA Triton serves; what is there and the same is left alone."""
    # They open every file that they write, with a runtime that no other command needs.
    from kyara_artifacts.folder import open_folder
    from kyara_inference.repository import UnfitModel, fill

    home = models or default_models_dir()
    entries = [_served(name) for name in model]
    entries += [entry for name in _models_of(recipe, address) if (entry := _entry(name)).served()] if recipe else []
    written = {}
    try:
        for name, changed in fill(open_folder(to), entries or _here(home), home, gpu=gpu, instances=instances):
            written[name] = changed
            if not as_json:
                console.print(f"{name}: {'written' if changed else 'is there'}", highlight=False)
    except ValueError as error:
        code = Exit.CANNOT_BE_DONE if isinstance(error, UnfitModel) else Exit.INVALID
        raise CommandError(code, str(error)) from error
    except (ModelMissing, StoreError) as error:
        raise CommandError(Exit.CANNOT_BE_DONE, str(error)) from error
    if as_json:
        print_json({"models": [{"name": name, "written": changed} for name, changed in written.items()]})


def _entry(name: str) -> ModelEntry:
    try:
        return catalogue()[name]
    except UnknownModel as error:
        raise CommandError(Exit.NOT_FOUND, f"no model is called {name!r}; `kyara models list` shows all") from error


def _served(name: str) -> ModelEntry:
    entry = _entry(name)
    if not entry.served():
        raise CommandError(Exit.INVALID, f"no server runs {name}, a {entry.kind} model: training and previews load it themselves")
    return entry


def _here(home: Path) -> list[ModelEntry]:
    """The served models that are on this machine. Raises CommandError when there is none."""
    found = []
    for entry in catalogue().values():
        with suppress(ModelMissing):
            found += [entry] if entry.served() and folder_of(entry, home) else []
    if not found:
        raise CommandError(Exit.CANNOT_BE_DONE, f"no model is in {home}; fetch some with `kyara models pull NAME`")
    return found


def _models_of(recipe: str, address: str) -> list[str]:
    with jobs_at(address) as service:
        known = {each.name: each.models for each in service.ListRecipes(ListRecipesRequest(), timeout=CALL_WITHIN_S).recipes}
    if recipe not in known:
        raise CommandError(Exit.INVALID, f"there is no recipe {recipe!r}; known recipes: {', '.join(known)}")
    return list(known[recipe])
