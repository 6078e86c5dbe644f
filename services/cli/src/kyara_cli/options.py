"""Options that several commands share."""

from typing import Annotated

import typer

Address = Annotated[str, typer.Option(envvar="KYARA_ADDRESS", help="Where jobs are served.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
JobId = Annotated[str, typer.Argument(help="A job's id.")]
