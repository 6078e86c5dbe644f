"""Commands on jobs: list, watch, show, cancel, retry, clusters, name."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from kyara.jobs.v1.jobs_pb2 import (
    CancelJobRequest,
    GetJobRequest,
    Job,
    ListJobsRequest,
    ListRecipesRequest,
    NameClustersRequest,
    RetryJobRequest,
)
from kyara_artifacts import open_store
from kyara_cli.client import CALL_WITHIN_S, jobs_at
from kyara_cli.exits import CommandError, Exit
from kyara_cli.options import Address, AsJson, JobId
from kyara_cli.output import console, job_list, job_page, print_json
from kyara_cli.watch import follow


def jobs(
    limit: Annotated[int, typer.Option(min=1, max=200, help="Jobs to show, newest first.")] = 20,
    page: Annotated[str, typer.Option(help="The next_page_token of an earlier answer.")] = "",
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """List jobs."""
    with jobs_at(address) as service:
        answer = service.ListJobs(ListJobsRequest(page_size=limit, page_token=page), timeout=CALL_WITHIN_S)
    if as_json:
        print_json(answer)
        return
    console.print(job_list(list(answer.jobs)))
    if answer.next_page_token:
        console.print(f"more: --page {answer.next_page_token}")


def watch(job_id: JobId, address: Address = "127.0.0.1:7400", as_json: AsJson = False) -> None:
    """Follow a job; the exit code tells how it ended."""
    raise typer.Exit(follow(job_id, address, as_json))


def show(job_id: JobId, address: Address = "127.0.0.1:7400", as_json: AsJson = False) -> None:
    """A job as it stands."""
    with jobs_at(address) as service:
        _say(service.GetJob(GetJobRequest(id=job_id), timeout=CALL_WITHIN_S).job, as_json)


def cancel(job_id: JobId, address: Address = "127.0.0.1:7400", as_json: AsJson = False) -> None:
    """Stop a job; what it finished stays in the store."""
    with jobs_at(address) as service:
        _say(service.CancelJob(CancelJobRequest(id=job_id), timeout=CALL_WITHIN_S).job, as_json)


def retry(job_id: JobId, address: Address = "127.0.0.1:7400", as_json: AsJson = False) -> None:
    """Start a failed or cancelled job again; finished stages answer from their results."""
    with jobs_at(address) as service:
        _say(service.RetryJob(RetryJobRequest(id=job_id), timeout=CALL_WITHIN_S).job, as_json)


def clusters(
    job_id: JobId,
    store: Annotated[str, typer.Option(envvar="KYARA_STORE", help="The store's address, to fetch the sheet from.")] = "",
    sheet: Annotated[Path | None, typer.Option(help="Write the contact sheet of all characters to this PNG.")] = None,
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """The characters that a job found."""
    with jobs_at(address) as service:
        job = service.GetJob(GetJobRequest(id=job_id), timeout=CALL_WITHIN_S).job
    if sheet is not None:
        _write_sheet(job, store, sheet)
    if as_json:
        print_json({"characters": [{"index": c.index, "name": c.name, "images": c.images} for c in job.characters]})
        return
    table = Table(box=None, header_style="dim")
    for column in ("index", "name", "pictures"):
        table.add_column(column)
    for each in job.characters:
        table.add_row(str(each.index), each.name, str(each.images))
    console.print(table)


def name(
    job_id: JobId,
    names: Annotated[list[str], typer.Argument(help="INDEX=NAME; an index that is left out is not trained.")],
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """Name the characters of a job that waits, and let it go on."""
    with jobs_at(address) as service:
        request = NameClustersRequest(id=job_id, names=dict(_named(each) for each in names))
        _say(service.NameClusters(request, timeout=CALL_WITHIN_S).job, as_json)


def recipes(address: Address = "127.0.0.1:7400", as_json: AsJson = False) -> None:
    """The recipes that jobs can follow."""
    with jobs_at(address) as service:
        answer = service.ListRecipes(ListRecipesRequest(), timeout=CALL_WITHIN_S)
    if as_json:
        print_json(answer)
        return
    table = Table(box=None, show_header=False)
    for recipe in answer.recipes:
        table.add_row(recipe.name, recipe.description)
    console.print(table)


def _named(text: str) -> tuple[int, str]:
    index, equals, given = text.partition("=")
    if not equals or not given or not index.removeprefix("-").isdigit():
        raise CommandError(Exit.INVALID, f"{text!r}: write INDEX=NAME, for example 0=miku")
    return int(index), given


def _say(job: Job, as_json: bool) -> None:
    if as_json:
        print_json(job)
    else:
        console.print(job_page(job))


def _write_sheet(job: Job, store: str, path: Path) -> None:
    sheets = [stage.outputs["sheet"] for stage in job.stages if stage.stage == "clusterer" and "sheet" in stage.outputs]
    if not sheets:
        raise CommandError(Exit.NOT_FOUND, f"job {job.id} has no characters yet; `kyara watch {job.id}` shows how far it is")
    if not store:
        raise CommandError(Exit.INVALID, "give --store (or KYARA_STORE), the address of the store that holds the sheet")
    open_store(store).fetch(sheets[0].digest, path)
