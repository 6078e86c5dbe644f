"""Following a job on the screen, across a jobs server that goes away and comes back."""

import time
from collections.abc import Iterator

from rich.live import Live

from kyara.jobs.v1.jobs_pb2 import Job, JobState, WatchJobRequest
from kyara_cli.client import jobs_at
from kyara_cli.exits import CommandError, Exit, of_job
from kyara_cli.output import ENDED, console, job_page, print_json

AWAY_AT_MOST_S = 120.0
PAUSE_S = 1.0


def follow(job_id: str, address: str, as_json: bool) -> Exit:
    """Show the job until it ends or waits for a person; how it ended."""
    job = Job()
    try:
        if as_json:
            for job in changes(job_id, address):
                print_json(job)
            return of_job(job)
        with Live(console=console, refresh_per_second=4, vertical_overflow="visible") as screen:
            for job in changes(job_id, address):
                screen.update(job_page(job))
        return of_job(job)
    except KeyboardInterrupt:
        raise CommandError(Exit.CANCELLED, f"stopped watching; the job goes on: `kyara watch {job_id}`") from None


def changes(job_id: str, address: str) -> Iterator[Job]:
    """The job whenever it changes, until it ends or waits for a person. Raises CommandError.

    A stream that breaks is no end: it is opened again, for as long as a restart takes.
    """
    answered = time.monotonic()
    seen = False
    while True:
        try:
            with jobs_at(address) as jobs:
                for response in jobs.WatchJob(WatchJobRequest(id=job_id)):
                    answered, seen = time.monotonic(), True
                    yield response.job
                    if response.job.state in ENDED or response.job.state == JobState.JOB_STATE_WAITING:
                        return
        except CommandError as error:
            if error.code is not Exit.UNREACHABLE or not seen or time.monotonic() - answered > AWAY_AT_MOST_S:
                raise
        time.sleep(PAUSE_S)
