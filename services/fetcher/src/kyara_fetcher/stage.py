"""The stage `fetcher`: `fetcher.resolve` pins a source, `fetcher.fetch` brings its videos into the store."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from kyara.fetcher.v1.fetcher_pb2 import FetchParams, ResolveParams
from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts import BlobMissing, File, FileSet, get_json, put_json, ref
from kyara_fetcher.bucket import BucketReader
from kyara_fetcher.choosing import Choice, Offered, bytes_in, check_room, choose
from kyara_fetcher.naming import media_type
from kyara_fetcher.pins import PinnedFiles, PinnedObjects, PinnedTorrent, read_pin
from kyara_fetcher.settings import FetcherSettings
from kyara_fetcher.source import pin
from kyara_fetcher.swarm import open_session
from kyara_fetcher.torrent import Torrent, disk_name
from kyara_fetcher.torrents import Hints, read_hints
from kyara_fetcher.workfolder import remove_abandoned, work_folder
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError

_TIMEOUT_S = 120.0
_DAY_S = 86400.0

Context = StageContext[FetcherSettings]


async def resolve(ctx: Context, params: ResolveParams, inputs: Inputs) -> Outputs:
    """Pin a torrent to its info hashes, a video or folder to its digests, objects to their tags."""
    assert not inputs
    pinned = await pin(params.source, ctx.store, ctx.settings)
    return {"pinned": put_json(ctx.store, "pinned", pinned.model_dump(mode="json"))}


async def fetch(ctx: Context, params: FetchParams, inputs: Inputs) -> Outputs:
    """Bring the videos of a pinned source into the store; `videos` (file-set) says their names."""
    source = read_pin(get_json(ctx.store, inputs["pinned"]))
    for name in remove_abandoned(ctx.settings.work_dir, ctx.settings.keep_unfinished_days * _DAY_S):
        ctx.log.info("removed an abandoned download", action=name)
    if isinstance(source, PinnedFiles):
        files = list(_from_folder(ctx, params, source))
    else:
        with work_folder(ctx.settings.work_dir, ctx.action_sha256) as folder:
            files = list(_stored(ctx, _downloaded(ctx, params, source, folder)))
    videos = {f"video_{number:03d}": ref("video", file.digest, file.media_type) for number, file in enumerate(files)}
    return videos | {"videos": FileSet(files=tuple(files)).save(ctx.store)}


def _from_folder(ctx: Context, params: FetchParams, source: PinnedFiles) -> Iterator[File]:
    offered = [Offered(number, file.name, file.size) for number, file in enumerate(source.files)]
    choice = _chosen(ctx, params, offered, source.root, None)
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


def _downloaded(
    ctx: Context, params: FetchParams, source: PinnedTorrent | PinnedObjects, folder: Path
) -> Sequence[tuple[Offered, Path]]:
    if isinstance(source, PinnedTorrent):
        return _from_swarm(ctx, params, source, folder)
    return _from_bucket(ctx, params, source, folder)


def _from_bucket(ctx: Context, params: FetchParams, source: PinnedObjects, folder: Path) -> list[tuple[Offered, Path]]:
    reader = BucketReader(ctx.settings)
    names = [each.key.removeprefix(source.folder) for each in source.objects]
    offered = [Offered(number, name, source.objects[number].size) for number, name in enumerate(names)]
    choice = _chosen(ctx, params, offered, f"s3://{source.bucket}/{source.folder}", folder)
    done = 0

    def gained(count: int) -> None:
        nonlocal done
        done += count
        ctx.progress("downloading", done, choice.size, "bytes")

    videos = [(video, folder / disk_name(video.number)) for video in choice.videos]
    for video, path in videos:
        # What an earlier attempt brought is whole.
        if path.exists():
            gained(video.size)
        else:
            reader.download(source.bucket, source.objects[video.number], path, gained)
    return videos


def _from_swarm(ctx: Context, params: FetchParams, source: PinnedTorrent, folder: Path) -> list[tuple[Offered, Path]]:
    settings, hints = ctx.settings, read_hints(source, ctx.store)
    session = open_session(settings.peer_listen, dht=settings.dht, allow_private=settings.allow_private_peers)
    torrent = Torrent(session, source, hints, _torrent_file(ctx, hints), folder)

    def chosen(offered: list[Offered]) -> Choice:
        return _chosen(ctx, params, offered, f"the torrent {source.hash[:12]}", folder)

    def progress(phase: str, done: int, total: int, metrics: dict[str, float]) -> None:
        ctx.progress(phase, done, total, "bytes", metrics)

    return torrent.download(chosen, params.no_peers_timeout_s or _TIMEOUT_S, settings.seed_s, progress)


def _stored(ctx: Context, videos: Sequence[tuple[Offered, Path]]) -> Iterator[File]:
    for video, path in ctx.track(videos, "putting into the store", "videos"):
        yield _file(video, ctx.store.put(path))


def _chosen(ctx: Context, params: FetchParams, offered: Sequence[Offered], source: str, folder: Path | None) -> Choice:
    """What to take, when there is room for it in the store, and in `folder` where it is downloaded to."""
    choice = choose(offered, params, source)
    for name, reason in choice.aside:
        ctx.reject(name, reason)
    store = urlsplit(ctx.settings.store)
    needed = {Path(store.path): choice.size} if store.scheme == "file" else {}
    check_room(needed | ({folder: choice.size - bytes_in(folder)} if folder else {}))
    return choice


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


OPERATIONS = (
    Operation(name="fetcher.resolve", version=1, params=ResolveParams, run=resolve, cached=False),
    Operation(name="fetcher.fetch", version=1, params=FetchParams, run=fetch),
)
