"""The demo as a user runs it: an episode, a seeder, the services, one job, its numbers and pictures."""

import json
import time
import uuid
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from kyara.jobs.v1.jobs_pb2 import CreateJobRequest, Job, JobSpec, VideoJob
from kyara.publisher.v1.publisher_pb2 import Target
from kyara_artifacts import open_store
from kyara_cli.client import CALL_WITHIN_S, jobs_at
from kyara_cli.exits import CommandError, Exit, of_job
from kyara_cli.output import ENDED, console
from kyara_cli.watch import changes, follow

SPEAKS = "the demo draws, trains and scores its own miniature characters; nothing is fetched from outside"


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the episode, the results and the pictures.")] = Path("out/demo"),
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another episode with another cast.")] = 7,
    seconds: Annotated[float, typer.Option(min=30, help="Length of the episode.")] = 75,
    base_port: Annotated[int, typer.Option(help="First of some 30 ports on the loopback interface.")] = 7500,
    setup_seconds: Annotated[float, typer.Option(help="Time that the installation took, for the results.")] = 0,
) -> None:
    """Magnet link to scored LoRAs on this machine: draws an episode, seeds it, runs one job, measures it."""
    # Only the demo needs the drawing code and the measures, which a plain client does not install.
    from kyara_cli.demo.pictures import write_pictures
    from kyara_cli.demo.results import measured
    from kyara_cli.demo.running import kyara_up, seeded
    from kyara_miniature.episode import make_episode

    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    console.print(f"[bold]Kyara demo[/]: {SPEAKS}")
    with console.status(f"drawing an episode of {seconds:.0f} s"):
        truth = make_episode(out / "episode.mkv", seed, seconds=seconds)
    with (
        console.status("starting Temporal, Ray, the models and the services"),
        kyara_up(out / "state", base_port) as address,
        seeded(out / "episode.mkv", base_port + 29) as magnet,
    ):
        console.print(f"services are up after {time.monotonic() - began:.0f} s; episode at [dim]{magnet[:60]}...[/]")
        spec = JobSpec(
            name="demo",
            recipe="miniature",
            video=VideoJob(sources=[magnet], max_characters=len(truth.main)),
            publish=Target(folder=str((out / "published").resolve())),
            seed=seed,
        )
        job_id = _created(address, spec)
        if (code := follow(job_id, address, as_json=False)) is not Exit.OK:
            raise CommandError(code, f"the demo's job failed; logs are in {out / 'state' / 'logs'}")
        job = _ended(job_id, address)
        cached_rerun_s = _again(address, spec)
    store = open_store(f"file://{(out / 'state' / 'store').resolve()}")
    results = measured(store, job, truth)
    results |= {
        "setup_s": setup_seconds,
        "total_s": round(setup_seconds + time.monotonic() - began, 1),
        "cached_rerun_s": round(cached_rerun_s, 1),
    }
    (out / "results.json").write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    pictures = write_pictures(store, job, out)
    _show(results, pictures, out)


def _created(address: str, spec: JobSpec) -> str:
    with jobs_at(address) as jobs:
        return jobs.CreateJob(CreateJobRequest(request_id=uuid.uuid4().hex, spec=spec), timeout=CALL_WITHIN_S).job.id


def _ended(job_id: str, address: str) -> Job:
    job = next(job for job in changes(job_id, address) if job.state in ENDED)
    if of_job(job) is not Exit.OK:
        raise CommandError(of_job(job), job.error)
    return job


def _again(address: str, spec: JobSpec) -> float:
    """Seconds that the same job takes once all its results are known."""
    began = time.monotonic()
    with console.status("the same job again, from its results"):
        _ended(_created(address, spec), address)
    return time.monotonic() - began


def _show(results: dict, pictures: list[Path], out: Path) -> None:
    table = Table(title="against the ground truth", title_justify="left", box=None, show_header=False)
    for key in (
        "shots", "shots_with_frame", "person_recall", "cluster_ari", "characters_true", "characters_found",
        "train_steps", "loss_first", "loss_last", "recscore_base", "best_step", "recscore_best", "cached_rerun_s", "total_s",
    ):  # fmt: skip
        table.add_row(key, str(results[key]))
    console.print(table)
    console.print(f"numbers: {out / 'results.json'}; published: {out / 'published'}")
    for picture in pictures:
        console.print(f"picture: {picture}")
