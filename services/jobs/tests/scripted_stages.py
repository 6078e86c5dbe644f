"""A stage server for the tests of jobs: the real contract on a real socket, with small honest work inside.

What comes out depends only on what goes in: a source such as `season?episodes=3&bad=1` gives three videos, of which
number 1 is a text file. A behaviour can be laid over one stage of the jobs with one salt: fail, hang, be full.
"""

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from kyara.clusterer.v1.clusterer_pb2 import RecogniseParams
from kyara.crawler.v1.crawler_pb2 import ResolveParams as FolderParams
from kyara.fetcher.v1.fetcher_pb2 import ResolveParams
from kyara.stage.v1 import stage_pb2_grpc
from kyara.stage.v1.stage_pb2 import (
    Accepted,
    Action,
    ArtifactRef,
    CancelRequest,
    CancelResponse,
    DescribeRequest,
    DescribeResponse,
    Progress,
    Result,
    RunRequest,
    RunResponse,
)
from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_artifacts import File, FileSet, Image, ImageSet, Store, get_json, put_json, ref
from kyara_rpc import Tls
from kyara_rpc.tls import bind

Outputs = dict[str, ArtifactRef]
Behaviour = Callable[["Call"], Awaitable[None]]


class WorkFailed(Exception):
    """The work of a stage fails, as its result says."""

    def __init__(self, code: "code_pb2.Code.ValueType", message: str) -> None:
        super().__init__(message)
        self.code = code


class Call:
    """One Run call, as a behaviour sees it."""

    def __init__(self, number: int, action: Action, context: grpc.aio.ServicerContext[RunRequest, RunResponse]) -> None:
        self.number = number
        """Which call of this stage with this salt it is, from 1."""
        self.action = action
        self.context = context

    async def turn_away(self) -> None:
        """Say that all slots are taken."""
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=100_000_000)))
        full = rpc_status.to_status(status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message="slots full", details=[detail]))
        await self.context.abort(full.code, full.details, tuple(full.trailing_metadata))


class ScriptedStages(stage_pb2_grpc.StageServiceServicer):
    """The server, in a thread of its own, so that tests can stop it and start it again at the same port."""

    def __init__(self, store: Store, tls: Tls | None = None) -> None:
        self._store = store
        self._tls = tls
        self._at_the_door: dict[tuple[str, str], Behaviour] = {}
        self._in_the_work: dict[tuple[str, str], Behaviour] = {}
        self._running: dict[str, asyncio.Task[Outputs]] = {}
        self._kept: dict[str, Outputs] = {}
        self._loop = asyncio.new_event_loop()
        self._server: grpc.aio.Server | None = None
        self.port = 0
        self.calls: Counter[tuple[str, str]] = Counter()
        """Run calls by (salt, stage)."""
        self.works: Counter[tuple[str, str]] = Counter()
        """Times that the work itself was done by (salt, stage)."""
        self.cancelled: set[str] = set()
        self.actions: dict[tuple[str, str], Action] = {}
        """The last action by (salt, stage)."""
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"127.0.0.1:{self.port}"

    def at_the_door(self, salt: str, stage: str, behaviour: Behaviour) -> None:
        """Lay `behaviour` before the start of `stage` in jobs with `salt`."""
        self._at_the_door[salt, stage] = behaviour

    def in_the_work(self, salt: str, stage: str, behaviour: Behaviour) -> None:
        """Lay `behaviour` into the work of `stage` in jobs with `salt`."""
        self._in_the_work[salt, stage] = behaviour

    def hold(self, salt: str, stage: str) -> "Gate":
        """Keep `stage` in its work until the gate is opened."""
        gate = Gate(self._loop)
        self.in_the_work(salt, stage, gate.passed)
        return gate

    def start(self) -> None:
        """Serve; the second time at the port of the first."""
        self._in_loop(self._start()).result(10)

    def stop(self) -> None:
        """Be gone at once, with all that runs."""
        self._in_loop(self._stop()).result(10)

    def _in_loop(self, work: Any) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _start(self) -> None:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        stage_pb2_grpc.add_StageServiceServicer_to_server(self, server)
        self.port = bind(server, f"127.0.0.1:{self.port}", self._tls, services_only=True)
        await server.start()
        self._server = server

    async def _stop(self) -> None:
        assert self._server
        await self._server.stop(0)
        for work in list(self._running.values()):
            work.cancel()

    async def Run(
        self, request: RunRequest, context: grpc.aio.ServicerContext[RunRequest, RunResponse]
    ) -> AsyncIterator[RunResponse]:
        """Start the action or join it."""
        action = request.action
        who = (action.salt, action.stage)
        sha256 = hashlib.sha256(action.SerializeToString(deterministic=True)).hexdigest()
        self.calls[who] += 1
        self.actions[who] = action
        joined = sha256 in self._running
        if sha256 not in self._kept and not joined and (at_the_door := self._at_the_door.get(who)):
            await at_the_door(Call(self.calls[who], action, context))
        result = Result(cached=sha256 in self._kept, seconds=0.1)
        work = self._running.get(sha256) or asyncio.ensure_future(self._work(sha256, action, context))
        self._running[sha256] = work
        work.add_done_callback(lambda _: self._running.pop(sha256, None))
        yield RunResponse(seq=1, accepted=Accepted(action_sha256=sha256, joined=joined))
        done = 0
        while not work.done():
            done += 1
            yield RunResponse(seq=1 + done, progress=Progress(phase="working", done=done, unit="images"))
            await asyncio.wait({work}, timeout=0.5)
        try:
            for name, output in work.result().items():
                result.outputs[name].CopyFrom(output)
        except WorkFailed as error:
            result.status.code, result.status.message = error.code, str(error)
        except asyncio.CancelledError:
            await context.abort(grpc.StatusCode.ABORTED, "the attempt was lost")
        yield RunResponse(seq=2 + done, result=result)

    async def _work(self, sha256: str, action: Action, context: grpc.aio.ServicerContext[Any, Any]) -> Outputs:
        if sha256 in self._kept:
            return self._kept[sha256]
        if in_the_work := self._in_the_work.get((action.salt, action.stage)):
            await in_the_work(Call(self.calls[action.salt, action.stage], action, context))
        outputs = work_of(action, self._store)
        self.works[action.salt, action.stage] += 1
        if not action.stage.endswith(".resolve"):
            self._kept[sha256] = outputs
        return outputs

    async def Describe(
        self, request: DescribeRequest, context: grpc.aio.ServicerContext[DescribeRequest, DescribeResponse]
    ) -> DescribeResponse:
        """Nothing asks it here."""
        return DescribeResponse()

    async def Cancel(
        self, request: CancelRequest, context: grpc.aio.ServicerContext[CancelRequest, CancelResponse]
    ) -> CancelResponse:
        """Stop the action."""
        self.cancelled.add(request.action_sha256)
        if running := self._running.get(request.action_sha256):
            running.cancel()
        return CancelResponse()


class Gate:
    """Holds work until it is opened."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._open = asyncio.Event()
        self.reached = threading.Event()
        """Set once work has come to the gate."""

    def open(self) -> None:
        """Let all through."""
        self._loop.call_soon_threadsafe(self._open.set)

    async def passed(self, call: Call) -> None:
        """Wait until it is open."""
        self.reached.set()
        await self._open.wait()


def work_of(action: Action, store: Store) -> Outputs:
    """What the action gives: small, and the same every time."""
    match action.stage:
        case "fetcher.resolve":
            params = ResolveParams()
            action.params.Unpack(params)
            return {"pinned": put_json(store, "pinned", params.source)}
        case "fetcher.fetch":
            return videos(store, get_json(store, action.inputs["pinned"]))
        case "crawler.resolve":
            asked = FolderParams()
            action.params.Unpack(asked)
            if asked.folder == "/nowhere":
                raise WorkFailed(code_pb2.INVALID_ARGUMENT, "/nowhere is no folder that the crawler can see")
            return {"pinned": put_json(store, "pinned", "folder")}
        case "keyframer":
            data = store.get(action.inputs["video"].digest)
            if data.startswith(b"text"):
                raise WorkFailed(code_pb2.INVALID_ARGUMENT, "notes.mkv is not a video: no stream was found in it")
            return {"frames": pictures(store, f"frames of {data!r}", 6)}
        case "crawler.collect" | "detector":
            return {"images": pictures(store, "pictures", 6)}
        case "curator.clean" | "curator.web":
            return {"crops": pictures(store, f"crops of {sorted(action.inputs)}", 6)}
        case "embedder":
            return {"vectors": blob(store, "vectors", b"vectors")}
        case "clusterer":
            return cast(store)
        case "clusterer.recognise":
            return {"likenesses": likenesses(store, action)}
        case "curator.package":
            dataset = pictures(store, action.inputs["crops"].digest.sha256, 20, core_tags=["horns", "pink_hair"])
            return {"dataset": dataset, "packages": files(store, "raw.zip"), "sheet": blob(store, "sheet", b"sheet")}
        case "trainer":
            params = TrainParams()
            action.params.Unpack(params)
            names = [f"{params.output_name}-{number}" for number in range(params.stop_after)]
            begun = {"checkpoint": put_json(store, "checkpoint", names)} if names else {}
            whole = f"{params.output_name}-{params.steps}"
            return {"saves": files(store, *(names or [whole])), "log": put_json(store, "log", []), **begun}
        case "evaluator.pin":
            return {"saves": files(store, "hers"), "embeddings": files(store, "hers.embedding")}
        case "evaluator":
            steps = [{"step": 80, "recscore": 0.5}, {"step": 160, "recscore": 0.75}]
            # Only the first two saves move the front.
            idle = max(0, len(FileSet.load(store, action.inputs["saves"]).files) - 2)
            scores = put_json(store, "scores", {"best_step": 160, "steps": steps, "idle_saves": idle})
            others = {name: blob(store, name, name.encode()) for name in ("sheet", "curve", "report", "best")}
            return {"scores": scores, "previews": pictures(store, "previews", 2), **others}
        case _:
            return {"receipt": put_json(store, "receipt", action.stage)}


def likenesses(store: Store, action: Action) -> ArtifactRef:
    """Index 0 is surely the first reference, index 1 could be the last, index 2 is nobody known."""
    params = RecogniseParams()
    action.params.Unpack(params)
    scores = [(params.names[0], 0.97, True), (params.names[-1], 0.55, False), (params.names[-1], 0.02, False)]
    rows = [{"index": n, "name": name, "score": score, "certain": sure} for n, (name, score, sure) in enumerate(scores)]
    return put_json(store, "likenesses", rows)


def videos(store: Store, source: str) -> Outputs:
    """The videos of `season?episodes=3&bad=1`."""
    wanted = parse_qs(urlsplit(source).query)
    bad = {int(number) for number in wanted.get("bad", [])}
    names = range(int(wanted.get("episodes", ["1"])[0]))
    return {f"video_{n:03}": blob(store, "video", f"{'text' if n in bad else 'video'} {n} of {source}".encode()) for n in names}


def cast(store: Store) -> Outputs:
    """Three indexes of 5, 4 and 3 crops; each shows two outfits, the second on one crop."""
    crops = [[crop(store, index, number) for number in range(5 - index)] for index in range(3)]
    shown = {f"character_{index:03}": ImageSet(images=tuple(images)).save(store) for index, images in enumerate(crops)}
    whole = ImageSet(images=tuple(image for images in crops for image in images)).save(store)
    summary = put_json(store, "summary", {"indexes": [portrait(index) for index in range(3)]})
    return {"clusters": whole, "sheet": blob(store, "sheet", b"cast"), "summary": summary, **shown}


def portrait(index: int) -> dict[str, Any]:
    """What the clusterer's summary says of an index: 2 looks like 0, and nobody like 1."""
    nearest = {0: 2, 1: None, 2: 0}[index]
    known = {"nearest": nearest, "nearest_difference": None if nearest is None else 0.125, "outfits": [{"pictures": 1}] * 2}
    return {"index": index, "pictures": 5 - index, "medoid": f"{index}/0.png", "confidence": 0.75, **known}


def crop(store: Store, index: int, number: int) -> Image:
    """A crop of an index; number 0 wears its second outfit."""
    digest = store.put(f"crop {number} of index {index}".encode())
    name, outfit = f"{index}/{number}.png", int(number == 0)
    return Image(name=name, sha256=digest.sha256, size=digest.size_bytes, width=64, height=64, index=index, outfit=outfit)


def blob(store: Store, kind: str, data: bytes) -> ArtifactRef:
    """A blob of `kind`."""
    return ref(kind, store.put(data), "application/octet-stream")


def pictures(store: Store, what: str, count: int, **meta: Any) -> ArtifactRef:
    """An image set of `count` entries."""
    digest = store.put(what.encode())
    one = {"sha256": digest.sha256, "size": digest.size_bytes, "width": 64, "height": 64}
    return ImageSet(images=tuple(Image(name=f"{n}.png", **one) for n in range(count)), meta=meta).save(store)


def files(store: Store, *names: str) -> ArtifactRef:
    """A file set."""
    digests = {name: store.put(name.encode()) for name in names}
    made = tuple(File(name=name, sha256=digest.sha256, size=digest.size_bytes) for name, digest in digests.items())
    return FileSet(files=made).save(store)
