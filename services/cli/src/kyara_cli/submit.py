"""`kyara submit video|character|dataset`: start a job."""

import uuid
from pathlib import Path
from typing import Annotated

import typer

from kyara.crawler.v1.crawler_pb2 import WebSource
from kyara.jobs.v1.jobs_pb2 import CharacterJob, CreateJobRequest, DatasetJob, Job, JobSpec, Reference, VideoJob
from kyara.publisher.v1.publisher_pb2 import Target
from kyara_cli.client import CALL_WITHIN_S, jobs_at
from kyara_cli.exits import CommandError, Exit
from kyara_cli.options import Address, AsJson
from kyara_cli.output import console, print_json
from kyara_cli.recipes import named
from kyara_cli.watch import follow

app = typer.Typer(help="Start a job.", no_args_is_help=True)

Name = Annotated[str, typer.Option(help="What to call the job and what it publishes.")]
Recipe = Annotated[str, typer.Option(metavar="NAME|FILE", help="A recipe's name, such as v1.4, or a YAML of your own.")]
Publish = Annotated[str, typer.Option(metavar="FOLDER|hub:OWNER", help="Where results go.")]
Approve = Annotated[bool, typer.Option("--approve", help="Publish nothing before `kyara approve`.")]
Seed = Annotated[int, typer.Option(help="Same seed, same result.")]
RequestId = Annotated[str, typer.Option(help="The same id gives the same job; one is made up when it is left out.")]
Salt = Annotated[str, typer.Option(help="Do work again that has a result, under this new word.")]
Watch = Annotated[bool, typer.Option(help="Stay and show the progress.")]


@app.command()
def video(
    sources: Annotated[list[str], typer.Argument(help="Magnet links, .torrent files, video files or folders.")],
    name: Name = "",
    recipe: Recipe = "v1.4",
    publish: Publish = "published",
    approve: Approve = False,
    wait_for_names: Annotated[bool, typer.Option(help="Stop after clustering until `kyara name`.")] = False,
    max_characters: Annotated[int, typer.Option(min=0, help="Train the largest so many; 0 is all.")] = 0,
    reference: Annotated[
        list[str], typer.Option(metavar="NAME=FOLDER", help="Pictures of a known character; give one for each.")
    ] = [],  # noqa: B006 - typer's way to say that there may be none
    seed: Seed = 0,
    request_id: RequestId = "",
    salt: Salt = "",
    watch: Watch = True,
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """A season of anime to one LoRA per character."""
    pipeline = VideoJob(
        sources=[_as_seen(each) for each in sources],
        wait_for_names=wait_for_names,
        max_characters=max_characters,
        references=[_reference(each) for each in reference],
    )
    spec = JobSpec(
        name=name or _name_of(sources[0]), video=pipeline, publish=target(publish), approve=approve, seed=seed, salt=salt
    )
    start(spec, recipe, request_id, watch, address, as_json)


@app.command()
def character(
    who: Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="A character's name, or a folder of its pictures.")] = "",
    name: Name = "",
    limit: Annotated[int, typer.Option(min=0, help="Most pictures from the web; 0 is 200.")] = 0,
    site: Annotated[
        list[str], typer.Option(help="A site to ask (docs/crawling.md); give one for each. Else the usual ones.")
    ] = [],  # noqa: B006
    rating: Annotated[list[str], typer.Option(help="A rating to take: general (the default), sensitive, ...")] = [],  # noqa: B006
    tag: Annotated[list[str], typer.Option(metavar="SITE=TAG", help="The character's tag on a site.")] = [],  # noqa: B006
    url: Annotated[list[str], typer.Option(help="A link to a picture; give one for each.")] = [],  # noqa: B006
    anchors: Annotated[str, typer.Option(metavar="FOLDER", help="A few pictures that surely show the character.")] = "",
    recipe: Recipe = "v1.4",
    publish: Publish = "published",
    approve: Approve = False,
    seed: Seed = 0,
    request_id: RequestId = "",
    salt: Salt = "",
    watch: Watch = True,
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """A character's pictures, from the web or in a folder, to a LoRA."""
    if Path(who).is_dir() and who:
        pipeline = CharacterJob(name=name or Path(who).name, folder=str(Path(who).resolve()))
    elif "/" in who:
        raise CommandError(Exit.INVALID, f"there is no folder {who}; give one with pictures, or a character's name")
    else:
        web = WebSource(name=who, limit=limit, sites=site, ratings=rating, tags=dict(map(_tag, tag)), urls=url)
        pipeline = CharacterJob(name=name or who, web=web)
    if anchors and not Path(anchors).is_dir():
        raise CommandError(Exit.INVALID, f"--anchors {anchors}: there is no such folder")
    pipeline.anchors = str(Path(anchors).resolve()) if anchors else ""
    spec = JobSpec(name=pipeline.name, character=pipeline, publish=target(publish), approve=approve, seed=seed, salt=salt)
    start(spec, recipe, request_id, watch, address, as_json)


@app.command()
def dataset(
    where: Annotated[str, typer.Argument(metavar="FOLDER|ZIP", help="Pictures, each with its caption in a .txt beside it.")],
    name: Annotated[str, typer.Option(help="The character's name; prompts call it by the word made of it.")] = "",
    recipe: Recipe = "v1.4",
    publish: Publish = "published",
    approve: Approve = False,
    seed: Seed = 0,
    request_id: RequestId = "",
    salt: Salt = "",
    watch: Watch = True,
    address: Address = "127.0.0.1:7400",
    as_json: AsJson = False,
) -> None:
    """A captioned dataset, such as a package made before, to a LoRA."""
    if not Path(where).exists():
        raise CommandError(Exit.INVALID, f"there is no folder or zip archive {where}")
    pipeline = DatasetJob(name=name or Path(where).stem, folder=str(Path(where).resolve()))
    spec = JobSpec(name=pipeline.name, dataset=pipeline, publish=target(publish), approve=approve, seed=seed, salt=salt)
    start(spec, recipe, request_id, watch, address, as_json)


def start(spec: JobSpec, recipe: str, request_id: str, watch: bool, address: str, as_json: bool) -> None:
    """Create the job by `recipe`, and stay with it when asked to."""
    job = create(spec, recipe, request_id, address)
    if watch:
        raise typer.Exit(follow(job.id, address, as_json))
    if as_json:
        print_json(job)
    else:
        console.print(f"job {job.id}; watch it with `kyara watch {job.id}`")


def create(spec: JobSpec, recipe: str, request_id: str, address: str) -> Job:
    """The job by `recipe`, created."""
    spec.recipe, spec.recipe_yaml = named(recipe)
    with jobs_at(address) as jobs:
        request = CreateJobRequest(request_id=request_id or uuid.uuid4().hex, spec=spec)
        return jobs.CreateJob(request, timeout=CALL_WITHIN_S).job


def target(text: str) -> Target:
    """Where to publish: `hub:OWNER`, or a folder."""
    if text.startswith("hub:"):
        return Target(hub_owner=text.removeprefix("hub:"))
    return Target(folder=str(Path(text).resolve()))


def _as_seen(source: str) -> str:
    """A source as the fetcher sees it, whose working folder is another."""
    return source if "://" in source or source.startswith("magnet:") else str(Path(source).resolve())


def _tag(text: str) -> tuple[str, str]:
    """`SITE=TAG`. Raises CommandError."""
    site, is_there, tag = text.partition("=")
    if not (site and is_there and tag):
        raise CommandError(Exit.INVALID, f"{text!r}: write --tag SITE=TAG, for example danbooru=hatsune_miku")
    return site, tag


def _reference(text: str) -> Reference:
    """`NAME=FOLDER`, with the folder as the crawler sees it. Raises CommandError."""
    name, is_there, folder = text.partition("=")
    if not (name and is_there and folder):
        raise CommandError(Exit.INVALID, f"{text!r}: write --reference NAME=FOLDER, for example miku=pictures/miku")
    return Reference(name=name, folder=str(Path(folder).resolve()))


def _name_of(source: str) -> str:
    return "video" if source.startswith("magnet:") else Path(source).stem
