"""`kyara`: every command, and how errors end one."""

import sys
from importlib.metadata import version as installed_version

import typer
from rich.console import Console
from rich.text import Text

from kyara_cli import demo, garbage, jobs, local, lora, models, recipes, reports, submit, token
from kyara_cli.exits import CommandError
from kyara_cli.options import AsJson
from kyara_cli.output import print_json

app = typer.Typer(
    name="kyara",
    help="From an anime video, or a character's pictures, to a published, scored LoRA.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(submit.app, name="submit")
app.add_typer(models.app, name="models")
app.add_typer(recipes.app, name="recipes")
app.add_typer(lora.app, name="lora")
for command in (
    jobs.jobs,
    jobs.watch,
    jobs.show,
    jobs.cancel,
    jobs.retry,
    jobs.forget,
    jobs.clusters,
    jobs.name,
    jobs.approve,
    jobs.refuse,
):
    app.command()(command)
for command in (reports.report, reports.evaluate, local.up, local.status, garbage.gc, demo.demo, token.token):
    app.command()(command)


@app.command()
def version(as_json: AsJson = False) -> None:
    """Kyara's version."""
    number = installed_version("kyara-cli")
    if as_json:
        print_json({"version": number})
    else:
        print(f"kyara {number}")


def main() -> None:
    """Run a command; every expected error ends in a sentence on standard error and its exit code."""
    try:
        app()
    except CommandError as error:
        # As text and no markup: a message may quote what somebody typed.
        said = Text.assemble(("kyara: ", "red"), str(error))
        Console(stderr=True).print(said, highlight=False, soft_wrap=True)
        sys.exit(error.code)
