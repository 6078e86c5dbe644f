"""`kyara recipes [show]`: what jobs can follow, and what a recipe makes of a dataset."""

from pathlib import Path
from typing import Annotated

import typer
from rich.syntax import Syntax
from rich.table import Table

from kyara.jobs.v1.jobs_pb2 import DescribeRecipeRequest, DescribeRecipeResponse, ListRecipesRequest
from kyara_cli.client import CALL_WITHIN_S, jobs_at
from kyara_cli.exits import CommandError, Exit
from kyara_cli.options import Address, AsJson
from kyara_cli.output import console, print_json

app = typer.Typer(help="The recipes that jobs can follow.", invoke_without_command=True)


@app.callback()
def recipes(context: typer.Context, address: Address = "127.0.0.1:7400", as_json: AsJson = False) -> None:
    """The recipes that jobs can follow."""
    if context.invoked_subcommand:
        return
    with jobs_at(address) as service:
        answer = service.ListRecipes(ListRecipesRequest(), timeout=CALL_WITHIN_S)
    if as_json:
        print_json(answer)
        return
    table = Table(box=None, show_header=False)
    for recipe in answer.recipes:
        table.add_row(recipe.name, recipe.description)
    console.print(table)


@app.command()
def show(
    recipe: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A recipe's name, or a YAML of your own.")],
    images: Annotated[list[int], typer.Option(min=1, help="Pictures of a dataset; give one for each size.")] = [],  # noqa: B006
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """A recipe whole, with the steps that datasets of some sizes get."""
    name, text = named(recipe)
    with jobs_at(address) as service:
        request = DescribeRecipeRequest(recipe=name, recipe_yaml=text, images=images)
        answer = service.DescribeRecipe(request, timeout=CALL_WITHIN_S)
    if as_json:
        print_json(answer)
        return
    console.print(_plans(answer))
    console.print(Syntax(f"\n{answer.recipe_yaml}", "yaml", theme="ansi_dark", background_color="default", word_wrap=True))


def named(recipe: str) -> tuple[str, str]:
    """The name of what `--recipe` says, and the YAML when it is a file. Raises CommandError."""
    path = Path(recipe)
    if path.suffix not in (".yaml", ".yml"):
        return recipe, ""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(Exit.INVALID, f"the recipe {recipe} cannot be read: {error}") from error
    if not text.strip():
        raise CommandError(Exit.INVALID, f"the recipe {recipe} is empty; begin with `extends: v1.4` and what is to be otherwise")
    return path.stem, text


def _plans(answer: DescribeRecipeResponse) -> Table:
    table = Table(box=None, header_style="dim")
    for column in ("pictures", "a dataset that is", "steps", "each seen", "rank, UNet", "text encoder"):
        table.add_column(column, justify="left" if column.startswith("a ") else "right")
    for plan in answer.plans:
        ranks = [str(rank) if rank else "not trained" for rank in (plan.unet_rank, plan.text_encoder_rank)]
        table.add_row(str(plan.images), plan.scale, str(plan.steps), f"{plan.epochs:.0f} times", *ranks)
    return table
