"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from kyara_artifacts import Store, open_store
from kyara_cli.exits import CommandError, Exit

LOCAL_STORE = Path(".kyara/store")
"""Where `kyara up` keeps what it makes, unless told otherwise."""

Address = Annotated[str, typer.Option(envvar="KYARA_ADDRESS", help="Where jobs are served.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
JobId = Annotated[str, typer.Argument(help="A job's id.")]
StoreUrl = Annotated[
    str, typer.Option("--store", envvar="KYARA_STORE", help=f"Address of Kyara's store; the one in {LOCAL_STORE} when left out.")
]


def store_at(url: str) -> Store:
    """The store that `--store` names. Raises CommandError."""
    if not url and not LOCAL_STORE.is_dir():
        where = f"there is none in {LOCAL_STORE}"
        raise CommandError(Exit.INVALID, f"give --store (or KYARA_STORE), the address of the store of this Kyara; {where}")
    return open_store(url or LOCAL_STORE.resolve().as_uri())
