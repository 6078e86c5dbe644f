"""The stage `fetcher`: `fetcher.resolve` pins a source, `fetcher.fetch` brings its videos into the store."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kyara.fetcher.v1.fetcher_pb2 import FetchParams, ResolveParams
from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts import BlobMissing, File, FileSet, get_json, put_json, ref
from kyara_fetcher.choosing import Choice, Offered, choose
from kyara_fetcher.naming import media_type
from kyara_fetcher.settings import FetcherSettings
from kyara_fetcher.source import Hints, PinnedFiles, PinnedTorrent, pin, read_hints, read_pin
from kyara_fetcher.swarm import open_session
from kyara_fetcher.torrent import Torrent
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError

_TIMEOUT_S = 120.0

Context = StageContext[FetcherSettings]


async def resolve(ctx: Context, params: ResolveParams, inputs: Inputs) -> Outputs:
    """Pin a magnet link or .torrent file to its info hashes, a video or folder to its digests."""
    assert not inputs
    return {"pinned": put_json(ctx.store, "pinned", pin(params.source, ctx.store).model_dump(mode="json"))}


async def fetch(ctx: Context, params: FetchParams, inputs: Inputs) -> Outputs:
    """Bring the videos of a pinned source into the store; `videos` (file-set) says their names."""
    source = read_pin(get_json(ctx.store, inputs["pinned"]))
    if isinstance(source, PinnedFiles):
        files = list(_from_folder(ctx, params, source))
    else:
        with _work_folder(ctx) as folder:
            files = list(_from_swarm(ctx, params, source, folder))
    videos = {f"video_{number:03d}": ref("video", file.digest, file.media_type) for number, file in enumerate(files)}
    return videos | {"videos": FileSet(files=tuple(files)).save(ctx.store)}


def _from_folder(ctx: Context, params: FetchParams, source: PinnedFiles) -> Iterator[File]:
    offered = [Offered(number, file.name, file.size) for number, file in enumerate(source.files)]
    choice = choose(offered, params, source.root)
    _set_aside(ctx, choice)
    for video in ctx.track(choice.videos, "reading", "videos"):
        pinned = source.files[video.number]
        path = Path(source.root) / pinned.name
        changed = StageError.precondition(f"{path} has changed since the job began; retry the job to take it as it is now")
        try:
            digest = ctx.store.put(path)
        except (FileNotFoundError, IsADirectoryError) as error:
            raise changed from error
        if digest.sha256 != pinned.sha256:
            raise changed
        yield _file(video, digest)


def _from_swarm(ctx: Context, params: FetchParams, source: PinnedTorrent, folder: Path) -> Iterator[File]:
    hints = read_hints(source, ctx.store)
    session = open_session(ctx.settings.peer_listen, dht=ctx.settings.dht, allow_private=ctx.settings.allow_private_peers)
    torrent = Torrent(session, source, hints, _torrent_file(ctx, hints), folder)

    def chosen(offered: list[Offered]) -> Choice:
        choice = choose(offered, params, f"the torrent {source.hash[:12]}")
        _set_aside(ctx, choice)
        return choice

    def progress(phase: str, done: int, total: int, metrics: dict[str, float]) -> None:
        ctx.progress(phase, done, total, "bytes", metrics)

    videos = list(torrent.download(chosen, params.no_peers_timeout_s or _TIMEOUT_S, progress))
    for video, path in ctx.track(videos, "putting into the store", "videos"):
        yield _file(video, ctx.store.put(path))


def _torrent_file(ctx: Context, hints: Hints) -> bytes | None:
    """The .torrent file, when one was given; without it peers give the list of files."""
    if hints.torrent_file is None:
        return None
    try:
        return ctx.store.get(Digest(sha256=hints.torrent_file.sha256, size_bytes=hints.torrent_file.size))
    except BlobMissing:
        return None


def _file(video: Offered, digest: Digest) -> File:
    return File(name=video.name, sha256=digest.sha256, size=digest.size_bytes, media_type=media_type(video.name) or "")


def _set_aside(ctx: Context, choice: Choice) -> None:
    for name, reason in choice.aside:
        ctx.reject(name, reason)


@contextmanager
def _work_folder(ctx: Context) -> Iterator[Path]:
    """The action's folder, which outlives a killed process and is removed once its work is done."""
    folder = ctx.settings.work_dir / ctx.action_sha256
    folder.mkdir(parents=True, exist_ok=True)
    with (ctx.settings.work_dir / f"{ctx.action_sha256}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StageError.unavailable("another process still fetches the same; trying again will join its work") from error
        yield folder
        shutil.rmtree(folder)
        Path(lock.name).unlink()


OPERATIONS = (
    Operation(name="fetcher.resolve", version=1, params=ResolveParams, run=resolve, cached=False),
    Operation(name="fetcher.fetch", version=1, params=FetchParams, run=fetch),
)
