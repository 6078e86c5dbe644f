"""`kyara gc`: take from the store what no job leads to any more."""

from typing import Annotated

import typer

from kyara.jobs.v1.jobs_pb2 import CollectGarbageRequest, CollectGarbageResponse
from kyara_cli.client import jobs_at
from kyara_cli.options import Address, AsJson
from kyara_cli.output import console, print_json

MEBI = 1 << 20


def gc(
    grace_days: Annotated[int, typer.Option(min=2, help="What was written in the last days stays.")] = 7,
    forget_after_days: Annotated[int, typer.Option(min=0, help="First forget jobs that ended longer ago; 0 keeps all.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """Remove from the store what no job leads to any more; safe while jobs run. Needs the role admin."""
    asked = CollectGarbageRequest(grace_days=grace_days, forget_after_days=forget_after_days, dry_run=dry_run)
    done = CollectGarbageResponse()
    with jobs_at(address) as service, console.status("starting") as status:
        for done in service.CollectGarbage(asked):
            status.update(f"{done.phase}: {_said(done, dry_run)}")
    if as_json:
        print_json(done)
    else:
        console.print(_said(done, dry_run))


def _said(done: CollectGarbageResponse, dry_run: bool) -> str:
    would = "would go" if dry_run else "gone"
    kept = f"{done.blobs_kept} blobs ({done.bytes_kept / MEBI:,.1f} MiB) stay"
    blobs = f"{done.blobs} blobs ({done.bytes / MEBI:,.1f} MiB)"
    return f"{done.jobs} jobs, {done.records} kept results and other records, {blobs} {would}; {kept}"
