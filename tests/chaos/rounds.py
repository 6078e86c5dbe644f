"""`make chaos`: in each round a random process is killed -9 or frozen at a random moment of a small job: same digests each time.

All of a `kyara up` is fair game, with the S3 server that it keeps its artifacts on: first a program is drawn, then one of its
processes. What is frozen thaws after a while, as on a machine that ran out of memory or was moved. What was killed is started
again by the supervisor, and here the S3 server, which is nobody's child. The table goes to out/chaos/results.json too.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil
from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.table import Table

from kyara.jobs.v1.jobs_pb2 import GetJobRequest
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara_miniature.episode import make_episode
from kyara_rpc import connect_sync
from tests.servers.kyara import Kyara, kyara_up, outputs_of
from tests.servers.s3 import S3Server, s3_server

OUT = Path("out/chaos")
LONGEST_S = 900.0
FROZEN_S = (3.0, 40.0)
"""Shortest and longest: a stage that says nothing for 45 s is called again."""
FINAL = {"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"}


@dataclass(frozen=True)
class Round:
    """What was done to a job, and how it ended."""

    number: int
    program: str
    process: str
    done: str
    at_s: float
    took_s: float
    state: str
    same: bool


class Stage:
    """A running Kyara on its S3 server, and the job that is tried on it."""

    def __init__(self, kyara: Kyara, s3: S3Server, episode: Path, folder: Path) -> None:
        self._kyara, self._s3, self._episode, self._folder = kyara, s3, episode, folder

    def submit(self, salt: str) -> str:
        """The job, none of whose work is done yet."""
        options = ["--name", "chaos", "--recipe", "miniature-quick", "--max-characters", "1", "--salt", salt]
        return self._kyara.submit("video", str(self._episode), *options, "--publish", str(self._folder / salt))

    def look(self, job_id: str) -> dict[str, Any] | None:
        """The job as it stands; None while nobody can say."""
        with connect_sync(self._kyara.address) as channel, contextlib.suppress(grpc.RpcError):
            job = JobServiceStub(channel).GetJob(GetJobRequest(id=job_id), timeout=10).job
            return MessageToDict(job, preserving_proto_field_name=True)
        return None

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job once it has ended, or as it stands after LONGEST_S."""
        job: dict[str, Any] = {"state": "unknown", "stages": []}

        def final() -> bool:
            nonlocal job
            job = self.look(job_id) or job
            return job["state"] in FINAL

        until = time.monotonic() + LONGEST_S
        while not final() and time.monotonic() < until:
            time.sleep(0.5)
        return job

    def strike(self, rng: random.Random) -> tuple[str, str, str]:
        """Kill or freeze a process; gives its program, its own name, and what was done."""
        programs = {row["name"]: row["pid"] for row in json.loads((self._kyara.state / "programs.json").read_text())["programs"]}
        program = rng.choice(sorted([*programs, "s3"]))
        root = psutil.Process(self._s3.pid if program == "s3" else programs[program])
        process = rng.choice([root, *sorted(root.children(recursive=True), key=lambda each: each.pid)])
        name = _title(process)
        if rng.random() < 0.5:
            frozen_s = rng.uniform(*FROZEN_S)
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
                time.sleep(frozen_s)
                process.resume()
            return program, name, f"frozen {frozen_s:.0f} s"
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
        if program == "s3":
            self._s3.kill()
            self._s3.start()
        return program, name, "killed"


def main() -> int:
    """Run the rounds, print the table; 1 when one of them ended otherwise than the calm job."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.rounds", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kyara-chaos-") as name, s3_server(Path(name)) as s3:
        os.environ.update(s3.environment)
        episode = Path(name) / "episode.mkv"
        make_episode(episode, 12, seconds=40, main=2, width=960, height=540)
        with kyara_up(Path(name) / "state", s3.url("kyara")) as kyara:
            rounds = _rounds(Stage(kyara, s3, episode, Path(name)), asked.rounds, asked.seed)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "results.json").write_text(json.dumps([asdict(each) for each in rounds], indent=2) + "\n")
    wrong = [each for each in rounds if not each.same]
    _print(rounds)
    return 1 if wrong else 0


def _rounds(stage: Stage, count: int, seed: int) -> list[Round]:
    began = time.monotonic()
    calm = stage.ended(stage.submit("calm"))
    calm_s = time.monotonic() - began
    assert calm["state"] == "JOB_STATE_SUCCEEDED", calm.get("error")
    print(f"a calm job takes {calm_s:.0f} s", flush=True)
    rounds = []
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        began, at_s = time.monotonic(), rng.uniform(0, calm_s)
        job_id = stage.submit(f"round-{number}")
        time.sleep(at_s)
        program, process, done = stage.strike(rng)
        job = stage.ended(job_id)
        same = job["state"] == calm["state"] and outputs_of(job) == outputs_of(calm)
        took_s = round(time.monotonic() - began, 1)
        rounds.append(Round(number, program, process, done, round(at_s, 1), took_s, job["state"], same))
        print(json.dumps(asdict(rounds[-1])), "" if same else job.get("error", ""), flush=True)
    return rounds


def _print(rounds: list[Round]) -> None:
    table = Table("round", "program", "process", "what", "at", "took", "state", "same digests")
    for each in rounds:
        state = each.state.removeprefix("JOB_STATE_")
        row = (str(each.number), each.program, each.process, each.done, f"{each.at_s:.0f} s", f"{each.took_s:.0f} s", state)
        table.add_row(*row, "yes" if each.same else "NO")
    console = Console()
    console.print(table)
    console.print(f"{sum(each.same for each in rounds)} of {len(rounds)} rounds ended with the calm job's digests")


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()
        module = words[words.index("-m") + 1] if "-m" in words else Path(words[0]).name if words else process.name()
        return module[:40]
    return "gone"


if __name__ == "__main__":
    sys.exit(main())
