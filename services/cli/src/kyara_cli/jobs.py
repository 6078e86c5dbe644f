"""Commands on jobs: list, watch, show, cancel, retry, forget, clusters, name, approve, refuse."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from kyara.jobs.v1.jobs_pb2 import (
    ApproveLorasRequest,
    CancelJobRequest,
    CharacterStatus,
    ForgetJobRequest,
    GetJobRequest,
    Job,
    ListJobsRequest,
    NameClustersRequest,
    RetryJobRequest,
    StageStatus,
)
from kyara_artifacts import Store, StoreError, get_json
from kyara_cli.client import CALL_WITHIN_S, jobs_at
from kyara_cli.exits import CommandError, Exit
from kyara_cli.options import Address, AsJson, JobId, StoreUrl, store_at
from kyara_cli.output import as_json_data, cluster_table, console, job_list, job_page, print_json
from kyara_cli.watch import follow

Indexes = Annotated[list[int], typer.Argument(metavar="[INDEX]...", help="Characters by index; all that wait when left out.")]
_NAMING = re.compile(r"(\d{1,6})=(.+)", re.ASCII | re.DOTALL)


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


def forget(job_id: JobId, address: Address = "127.0.0.1:7400") -> None:
    """Remove a job that has ended from the list; what it alone made goes with the next `kyara gc`."""
    with jobs_at(address) as service:
        service.ForgetJob(ForgetJobRequest(id=job_id), timeout=CALL_WITHIN_S)


def clusters(
    job_id: JobId,
    store: StoreUrl = "",
    sheet: Annotated[Path, typer.Option(help="PNG to write the contact sheet to: a row for each index.")] = Path("clusters.png"),
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """The characters that a job found, with a contact sheet of them, to name them by."""
    with jobs_at(address) as service:
        job = service.GetJob(GetJobRequest(id=job_id), timeout=CALL_WITHIN_S).job
    stage = _clusterer_of(job)
    try:
        kept = store_at(store)
        kept.fetch(stage.outputs["sheet"].digest, sheet)
        portraits = _portraits(kept, stage)
    except (StoreError, OSError, ValueError) as error:
        raise CommandError(Exit.CANNOT_BE_DONE, f"the contact sheet cannot be written to {sheet}: {error}") from error
    found = [_described(each) | portraits.get(each.index, {}) for each in job.characters]
    if as_json:
        print_json({"characters": found, "sheet": str(sheet)})
        return
    console.print(cluster_table(found))
    console.print(f"contact sheet: {sheet}", markup=False, highlight=False)


def name(
    job_id: JobId,
    names: Annotated[list[str], typer.Argument(metavar="INDEX=NAME...", help="One name for several indexes merges them.")],
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """Name the characters of a job that waits, and let it go on.

    `0=miku 3=miku 5=drop` makes one character of the indexes 0 and 3, and leaves 5 out. An index without a name is left
    out too, unless none has one.
    """
    given = _named(names)
    with jobs_at(address) as service:
        request = NameClustersRequest(id=job_id, names=given)
        _say(service.NameClusters(request, timeout=CALL_WITHIN_S).job, as_json)


def approve(
    job_id: JobId,
    indexes: Indexes = [],  # noqa: B006 - as in submit
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """Let LoRAs of a job submitted with --approve be published; `kyara report` shows them."""
    _decide(job_id, indexes, False, address, as_json)


def refuse(
    job_id: JobId,
    indexes: Indexes = [],  # noqa: B006 - as in submit
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """Say that LoRAs of a job submitted with --approve are not to be published; they stay in the store."""
    _decide(job_id, indexes, True, address, as_json)


def _decide(job_id: str, indexes: list[int], refused: bool, address: str, as_json: bool) -> None:
    with jobs_at(address) as service:
        request = ApproveLorasRequest(id=job_id, characters=indexes, refuse=refused)
        _say(service.ApproveLoras(request, timeout=CALL_WITHIN_S).job, as_json)


def _named(texts: list[str]) -> dict[int, str]:
    """Names by index. Raises CommandError."""
    given: dict[int, str] = {}
    for text in texts:
        if not (found := _NAMING.fullmatch(text)):
            raise CommandError(Exit.INVALID, f"{text!r}: write INDEX=NAME, for example 0=miku")
        if (index := int(found[1])) in given:
            raise CommandError(Exit.INVALID, f"index {index} is named twice; name it once")
        given[index] = found[2]
    return given


def _say(job: Job, as_json: bool) -> None:
    if as_json:
        print_json(job)
    else:
        console.print(job_page(job))


def _clusterer_of(job: Job) -> StageStatus:
    """The stage that found the job's characters. Raises CommandError when it has not."""
    for stage in job.stages:
        if stage.stage == "clusterer" and "sheet" in stage.outputs:
            return stage
    raise CommandError(Exit.NOT_FOUND, f"job {job.id} has no characters yet; `kyara watch {job.id}` shows how far it is")


def _described(character: CharacterStatus) -> dict[str, Any]:
    """An index by what the job says of it."""
    told = {"index": character.index, "name": character.name, "images": character.images}
    return told | ({"likeness": as_json_data(character.likeness)} if character.HasField("likeness") else {})


def _portraits(store: Store, clusterer: StageStatus) -> dict[int, dict[str, Any]]:
    """What the clusterer says of each index; nothing for jobs from before it said anything."""
    known = get_json(store, clusterer.outputs["summary"]).get("indexes", [])
    return {portrait["index"]: portrait for portrait in known}
