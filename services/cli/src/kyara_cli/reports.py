"""`kyara report`, `kyara evaluate`: the page that shows what a LoRA can do, of a job's own or of one from anywhere."""

from pathlib import Path
from typing import Annotated

import typer

from kyara.jobs.v1.jobs_pb2 import EvaluationJob, GetJobRequest, Job, JobSpec
from kyara_artifacts import Store, StoreError
from kyara_cli.client import CALL_WITHIN_S, jobs_at
from kyara_cli.exits import CommandError, Exit
from kyara_cli.options import Address, AsJson, JobId, StoreUrl, store_at
from kyara_cli.output import console, print_json
from kyara_cli.submit import Recipe, RequestId, Salt, Seed, create
from kyara_cli.watch import follow
from kyara_lora import BadFile, read

_MOST = 120
"""Characters of a file's name."""


def report(
    job_id: JobId,
    out: Annotated[Path, typer.Option(help="Folder to write them to.")] = Path(),
    store: StoreUrl = "",
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """Write each LoRA's page: previews, scores, why each save was chosen or not. Open it in a browser."""
    with jobs_at(address) as service:
        job = service.GetJob(GetJobRequest(id=job_id), timeout=CALL_WITHIN_S).job
    _say(_written(job, store_at(store), out), as_json)


def evaluate(
    lora: Annotated[Path, typer.Argument(help="A LoRA in a .safetensors file, or a folder with a training's saves.")],
    dataset: Annotated[Path, typer.Option(metavar="FOLDER|ZIP", help="Pictures of the character.")],
    name: Annotated[str, typer.Option(help="The character's name; that of LORA when left out.")] = "",
    trigger: Annotated[str, typer.Option(help="What prompts call it by; what the file says, or made of the name.")] = "",
    recipe: Recipe = "v1.4",
    out: Annotated[Path, typer.Option(help="Folder to write the page to.")] = Path(),
    store: StoreUrl = "",
    seed: Seed = 0,
    request_id: RequestId = "",
    salt: Salt = "",
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """Score any LoRA against pictures of its character, and write its page."""
    for path in (lora, dataset):
        if not path.exists():
            raise CommandError(Exit.INVALID, f"there is no file or folder {path}")
    wanted = EvaluationJob(
        name=name or lora.stem, lora=str(lora.resolve()), folder=str(dataset.resolve()), trigger=trigger or _taught(lora)
    )
    kept = store_at(store)
    job = create(JobSpec(name=wanted.name, evaluation=wanted, seed=seed, salt=salt), recipe, request_id, address)
    if code := follow(job.id, address, as_json):
        raise typer.Exit(code)
    with jobs_at(address) as service:
        ended = service.GetJob(GetJobRequest(id=job.id), timeout=CALL_WITHIN_S).job
    _say(_written(ended, kept, out), as_json)


def _taught(lora: Path) -> str:
    """The trigger that a file's metadata names, if any."""
    files = sorted(lora.rglob("*.safetensors")) if lora.is_dir() else [lora]
    try:
        return read(files[0]).metadata.get("modelspec.trigger_phrase", "") if files else ""
    except (BadFile, OSError):
        return ""  # the job says what is wrong with it


def _written(job: Job, store: Store, out: Path) -> list[Path]:
    """The pages of a job's LoRAs. Raises CommandError when there are none, or they cannot be written."""
    pages = {stage.subject or job.spec.name: stage.outputs["report"] for stage in job.stages if "report" in stage.outputs}
    if not pages:
        raise CommandError(Exit.NOT_FOUND, f"job {job.id} has scored no LoRA yet; `kyara watch {job.id}` shows how far it is")
    written: list[Path] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, page in pages.items():
            written.append(out / f"{_file_name(name)}.html")
            store.fetch(page.digest, written[-1])
    except (StoreError, OSError) as error:
        raise CommandError(Exit.CANNOT_BE_DONE, f"the page cannot be written to {out}: {error}") from error
    return written


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in " -_()" else "_" for letter in name)[:_MOST]


def _say(pages: list[Path], as_json: bool) -> None:
    if as_json:
        print_json({"reports": [str(page) for page in pages]})
        return
    for page in pages:
        console.print(f"report: {page}", markup=False, highlight=False)
