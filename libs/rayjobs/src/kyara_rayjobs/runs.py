"""The stage's side: have a run done by Ray, once, and follow it to its end.

The submission's name comes from the action's digest, so whoever asks for the same action joins the run that is
there. A submission that failed or was stopped earlier, or that died without a word, is followed by one with the next
number; one that Ray has forgotten (its head was restarted) is submitted again. The run itself goes on from its last
checkpoint in each of these cases.
"""

import asyncio
import contextlib
import json
import shlex
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import structlog
from google.protobuf import json_format

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Store
from kyara_rayjobs.api import ENDED, RayApi, RayUnreachableError
from kyara_rayjobs.report import read_checkpoint, read_record
from kyara_rpc import carried_trace
from kyara_stage import StageContext, StageError

T = TypeVar("T")

POLL_S = 0.5
PATIENCE_S = 60.0
DEATHS = 3

log = structlog.get_logger()


@dataclass(frozen=True)
class RayRun:
    """What is to run: `python -m <module> <json>` on Ray."""

    room: str
    module: str
    """Its `main` reads the JSON object in its first argument: all of `spec`, and what `RunReport.open` needs."""
    spec: dict[str, Any]
    python: str = "python"
    """The interpreter as Ray's nodes know it."""

    def entrypoint(self, key: str, submission: str) -> str:
        """The job's command line."""
        told = {"key": key, "submission": submission, **self.spec, "trace": carried_trace()}
        argument = json.dumps(told, sort_keys=True)
        return shlex.join([self.python, "-m", self.module, argument])


async def follow(ctx: StageContext[Any], ray: str, run: RayRun) -> dict[str, Any]:
    """Run or join `run` on the Ray cluster at `ray`, give its progress on, and return its result.

    Raises StageError: what the run itself raised, or UNAVAILABLE when Ray stays away or the run keeps dying.
    Cancelling stops the Ray job.
    """
    async with RayApi(ray) as api:
        return await _Follower(ctx, api, run).result()


class _Follower:
    def __init__(self, ctx: StageContext[Any], api: RayApi, run: RayRun) -> None:
        self._ctx = ctx
        self._store: Store = ctx.store
        self._api = api
        self._run = run
        self._key = f"{run.room}/{ctx.action_sha256}"
        self._seen_progress: dict[str, Any] = {}
        self._seen_checkpoint = ctx.last_checkpoint

    async def result(self) -> dict[str, Any]:
        number, deaths = 1, 0
        while True:
            submission = f"kyara-{self._run.room}-{self._ctx.action_sha256[:32]}" + (f"-{number}" if number > 1 else "")
            watched = await self._watch(submission)
            record = read_record(self._store, self._key, "result")
            mine = record.get("submission") == submission
            if mine and "value" in record:
                return record["value"]
            if watched and mine and "error" in record:
                raise _error_of(record["error"])
            if watched:
                deaths += 1
                await self._note_death(submission, deaths)
            number += 1

    async def _watch(self, submission: str) -> bool:
        """Follow a submission to its end, starting it when Ray does not know it; whether it was alive at all."""
        alive = False
        try:
            while True:
                job = await self._patiently(lambda: self._api.job(submission))
                if job is None:
                    await self._patiently(lambda: self._api.submit(submission, self._run.entrypoint(self._key, submission)))
                    log.info("ray job submitted", submission=submission)
                elif job["status"] in ENDED:
                    self._pass_on()
                    return alive
                alive = True
                self._pass_on()
                await asyncio.sleep(POLL_S)
        except asyncio.CancelledError:
            with contextlib.suppress(RayUnreachableError):
                await self._api.stop(submission)
            raise

    def _pass_on(self) -> None:
        """Give on the run's latest progress and checkpoint."""
        progress = read_record(self._store, self._key, "progress")
        if progress and progress != self._seen_progress:
            self._seen_progress = progress
            self._ctx.progress(**progress)
        checkpoint = read_checkpoint(self._store, self._key)
        if checkpoint is not None and checkpoint != self._seen_checkpoint:
            self._seen_checkpoint = checkpoint
            self._ctx.checkpoint(checkpoint)

    async def _note_death(self, submission: str, deaths: int) -> None:
        job = await self._patiently(lambda: self._api.job(submission)) or {}
        tail = (await self._patiently(lambda: self._api.logs(submission))).strip().splitlines()[-5:]
        reason = " | ".join([job.get("message") or job.get("status") or "gone", *tail])
        log.warning("ray job died", submission=submission, reason=reason)
        if deaths >= DEATHS:
            raise StageError.unavailable(f"the {self._run.room}'s Ray job {submission} died {deaths} times; at last: {reason}")

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """`call`, tried again while Ray's head is away: it may be restarting."""
        give_up = time.monotonic() + PATIENCE_S
        while True:
            try:
                return await call()
            except RayUnreachableError as error:
                if time.monotonic() > give_up:
                    raise StageError.unavailable(f"{error}; is the Ray cluster up, and is its address right?") from error
                await asyncio.sleep(1.0)


def _error_of(error: dict[str, Any]) -> StageError:
    code = next(each for each in grpc.StatusCode if each.value[0] == error["code"])
    return StageError(code, error["message"])


def refs_of(value: dict[str, Any]) -> dict[str, ArtifactRef]:
    """Artifact references by output name, from their JSON in a run's result."""
    return {name: json_format.ParseDict(ref, ArtifactRef()) for name, ref in value.items()}
