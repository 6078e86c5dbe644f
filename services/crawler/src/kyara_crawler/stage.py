"""The stage `crawler`: `crawler.resolve` pins a source, `crawler.collect` decodes its pictures into an image set."""

from collections.abc import Sequence
from pathlib import Path

from kyara.crawler.v1.crawler_pb2 import CollectParams, ResolveParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import BadPicture, File, FileSet, Image, ImageSet, put_picture, read_picture
from kyara_crawler.captions import caption_in, is_caption, stem_of
from kyara_crawler.character import POSTS, fetch, pin
from kyara_crawler.folder import BadFolder, Unreadable, files_in
from kyara_crawler.settings import CrawlerSettings
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError

MAX_PIXELS = 64_000_000

Context = StageContext[CrawlerSettings]


async def resolve(ctx: Context, params: ResolveParams, inputs: Inputs) -> Outputs:
    """Pin what a source holds now: a folder's files (`pinned` is a file-set of them), or posts on the web (`posts`)."""
    assert not inputs
    if params.HasField("web") == bool(params.folder):
        raise StageError.invalid("give either a folder or what to look for on the web")
    return await pin(ctx, params.web) if params.HasField("web") else _pin_folder(ctx, params.folder)


async def collect(ctx: Context, params: CollectParams, inputs: Inputs) -> Outputs:
    """Decode every pinned picture whole; what is none, or there twice, is set aside."""
    pinned, max_pixels = inputs["pinned"], params.max_pixels or MAX_PIXELS
    return await fetch(ctx, pinned, max_pixels) if pinned.kind == POSTS else _decode(ctx, pinned, max_pixels)


def _pin_folder(ctx: Context, folder: str) -> Outputs:
    try:
        found = files_in(Path(folder))
    except BadFolder as error:
        raise StageError.invalid(str(error)) from error
    pinned: list[File] = []
    for each in ctx.track(found, "reading", "files"):
        if each.size > ctx.settings.max_file_bytes:
            ctx.reject(each.name, f"{each.size} bytes are more than {ctx.settings.max_file_bytes}")
            continue
        try:
            digest = ctx.store.put(each.content())
        except Unreadable as error:
            ctx.reject(each.name, str(error))
            continue
        pinned.append(File(name=each.name, sha256=digest.sha256, size=digest.size_bytes))
    return {"pinned": FileSet(files=tuple(pinned)).save(ctx.store)}


def _decode(ctx: Context, pinned: ArtifactRef, max_pixels: int) -> Outputs:
    files, captions = _apart(ctx, FileSet.load(ctx.store, pinned).files)
    images: list[Image] = []
    first: dict[str, str] = {}
    contents = ctx.store.get_all([file.digest for file in files])
    for file, data in zip(ctx.track(files, "decoding", "files"), contents, strict=True):
        try:
            picture = read_picture(data, max_pixels)
        except BadPicture as error:
            ctx.reject(file.name, str(error))
            continue
        digest, width, height = put_picture(ctx.store, picture)
        if digest.sha256 in first:
            ctx.reject(file.name, f"the same picture as {first[digest.sha256]}")
            continue
        first[digest.sha256] = file.name
        size = {"sha256": digest.sha256, "size": digest.size_bytes, "width": width, "height": height}
        images.append(Image(name=file.name, source=file.name, caption=captions.get(stem_of(file.name)), **size))
    if not images:
        raise StageError.precondition(f"none of the {len(files)} files can be decoded as a picture; PNG, JPEG and WebP can")
    return {"images": ImageSet(images=tuple(images)).save(ctx.store)}


def _apart(ctx: Context, files: Sequence[File]) -> tuple[list[File], dict[str, str]]:
    """The files that are no captions, and the captions by the stem of their picture."""
    stems = {stem_of(file.name) for file in files if not file.name.lower().endswith(".txt")}
    others = [file for file in files if not is_caption(file.name, stems)]
    captions: dict[str, str] = {}
    beside = [file for file in files if is_caption(file.name, stems)]
    for file, data in zip(beside, ctx.store.get_all([file.digest for file in beside]), strict=True):
        try:
            captions[stem_of(file.name)] = caption_in(data)
        except ValueError as error:
            ctx.reject(file.name, str(error))
    return others, captions


OPERATIONS = (
    Operation(name="crawler.resolve", version=1, params=ResolveParams, run=resolve, cached=False),
    Operation(name="crawler.collect", version=3, params=CollectParams, run=collect),
)
