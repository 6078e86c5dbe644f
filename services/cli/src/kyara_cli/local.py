"""`kyara up` and `kyara status`: Kyara on this machine."""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from kyara_cli.exits import CommandError, Exit
from kyara_cli.options import AsJson
from kyara_cli.output import console, print_json
from kyara_rpc import is_serving

State = Annotated[Path, typer.Option(help="Folder of everything that is kept.")]


def up(
    state: State = Path(".kyara"),
    base_port: Annotated[int, typer.Option(help="First of some 25 ports; jobs are served on it.")] = 7400,
    store: Annotated[str, typer.Option(help="The store's address; a folder under the state when left out.")] = "",
    inference: Annotated[str, typer.Option(metavar="HOST:PORT", help="A Triton that has the models, in place of our own.")] = "",
    private_peers: Annotated[bool, typer.Option(help="Let the fetcher talk to peers in private networks.")] = False,
) -> None:
    """Run Kyara on this machine until Ctrl-C: the engine, the services, Ray, the models."""
    command = [sys.executable, "-m", "kyara_local", "--state", str(state), "--base-port", str(base_port)]
    command += ["--store", store] if store else []
    command += ["--inference", inference] if inference else []
    command += ["--private-peers", "true"] if private_peers else []
    os.execv(sys.executable, command)


def status(state: State = Path(".kyara"), as_json: AsJson = False) -> None:
    """What runs here, and whether it answers."""
    try:
        written = json.loads((state / "programs.json").read_text())
    except FileNotFoundError:
        raise CommandError(Exit.UNREACHABLE, f"no Kyara runs on {state}; start one with `kyara up`") from None
    rows = [{**row, "serving": _serves(row["name"], row["address"])} for row in written["programs"]]
    if as_json:
        print_json({"programs": rows})
    else:
        table = Table(box=None, header_style="dim")
        for column in ("program", "address", "pid", "restarts", "state"):
            table.add_column(column)
        for row in rows:
            word = "[green]serving[/]" if row["serving"] else "[red]not serving[/]"
            table.add_row(row["name"], row["address"], str(row["pid"]), str(row["restarts"]), word)
        console.print(table)
    raise typer.Exit(Exit.OK if all(row["serving"] for row in rows) else Exit.UNREACHABLE)


def _serves(name: str, address: str) -> bool:
    if name == "ray":  # speaks HTTP
        host, _, port = address.partition(":")
        with socket.socket() as probe:
            probe.settimeout(2)
            return probe.connect_ex((host, int(port))) == 0
    return is_serving(address, "temporal.api.workflowservice.v1.WorkflowService" if name == "temporal" else "")
