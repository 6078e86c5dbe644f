"""How things are said: people get tables, `--json` gets one JSON document (or one a line for streams)."""

import json
import sys
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kyara.jobs.v1.jobs_pb2 import Approval, CharacterStatus, Job, JobState, StageStatus

console = Console()
BAR = 12
"""Width of a progress bar."""
_COLOURS = {
    JobState.JOB_STATE_SUCCEEDED: "green",
    JobState.JOB_STATE_FAILED: "red",
    JobState.JOB_STATE_CANCELLED: "yellow",
    JobState.JOB_STATE_RUNNING: "cyan",
    JobState.JOB_STATE_WAITING: "magenta",
}
ENDED = (JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED)


def print_json(value: Message | Any) -> None:
    """One JSON document on one line of standard output."""
    sys.stdout.write(json.dumps(as_json_data(value) if isinstance(value, Message) else value) + "\n")
    sys.stdout.flush()


def as_json_data(message: Message) -> dict[str, Any]:
    """A message as `--json` shows it."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def state_word(state: "JobState.ValueType") -> Text:
    """A state as a coloured word."""
    return Text(JobState.Name(state).removeprefix("JOB_STATE_").lower(), style=_COLOURS.get(state, ""))


def job_list(jobs: list[Job]) -> Table:
    """Jobs, a line each."""
    table = Table(box=None, header_style="dim")
    for column in ("job", "name", "recipe", "state", "created", "error"):
        table.add_column(column)
    for job in jobs:
        created = job.created.ToDatetime().strftime("%Y-%m-%d %H:%M")
        table.add_row(job.id, Text(job.spec.name), job.spec.recipe, state_word(job.state), created, Text(job.error))
    return table


def cluster_table(found: list[dict[str, Any]]) -> Table:
    """The indexes that a job found, a line each, with what is known of them."""
    table = Table(box=None, header_style="dim")
    likened = any("likeness" in each for each in found)
    for column in ("index", "name", "pictures", "outfits", "confidence", "could be the same", *["looks like"] * likened):
        table.add_column(column, no_wrap=column != "name")
    for each in found:
        outfits = str(len(each["outfits"])) if "outfits" in each else ""
        confidence = f"{each['confidence']:.2f}" if "confidence" in each else ""
        like = [_looks_like(**each["likeness"])] if likened else []
        table.add_row(str(each["index"]), Text(each["name"]), str(each["images"]), outfits, confidence, _nearest(each), *like)
    return table


def _nearest(found: dict[str, Any]) -> str:
    """The index that is most like this one, if there is another."""
    if found.get("nearest") is None:
        return ""
    return f"{found['nearest']} ({found['nearest_difference']:.2f} apart)"


def _looks_like(name: str, score: float = 0.0, certain: bool = False) -> Text:
    """The reference that an index is most like; a question where a person must look."""
    return Text(f"{name}{'' if certain else '?'} {score:.2f}", style="" if certain else "magenta")


def job_page(job: Job) -> RenderableType:
    """A job with its stages and characters, as it stands."""
    head = Text.assemble((job.spec.name or job.id, "bold"), f"  {job.id}  recipe {job.spec.recipe}  ", state_word(job.state))
    parts: list[RenderableType] = [head, _stages(job)]
    if job.characters:
        parts.append(_characters(job))
    if job.error:
        parts.append(Text(f"{job.error_code}: {job.error}", style="red"))
    if hint := _hint(job):
        parts.append(Text(hint, style="magenta"))
    return Group(*parts)


def _hint(job: Job) -> str:
    """What a job waits for, and what to do about it."""
    if any(each.approval == Approval.APPROVAL_WAITING for each in job.characters):
        return f"waits for approval: `kyara report {job.id}`, then `kyara approve {job.id}` or `kyara refuse {job.id}`"
    if job.state == JobState.JOB_STATE_WAITING:
        return f"waits for names: `kyara clusters {job.id}`, then `kyara name {job.id} 0=NAME 1=drop ...`"
    return ""


def _stages(job: Job) -> Table:
    """A line for each stage; on a narrow terminal the note at its end gives way first."""
    table = Table(box=None, header_style="dim", pad_edge=False, expand=True, padding=(0, 1, 0, 0))
    table.add_column("stage", no_wrap=True)
    table.add_column("of", no_wrap=True, max_width=16)
    table.add_column("", width=BAR)
    table.add_column("done", no_wrap=True, min_width=12)
    table.add_column("time", no_wrap=True, min_width=7, justify="right")
    table.add_column("", no_wrap=True, ratio=1, overflow="ellipsis")
    for stage in job.stages:
        seconds = f"{stage.seconds:.1f} s" if stage.seconds else ""
        table.add_row(stage.stage, Text(stage.subject), _bar(stage), _done(stage), seconds, _note(stage))
    return table


def _bar(stage: StageStatus) -> RenderableType:
    if stage.state == JobState.JOB_STATE_SUCCEEDED:
        return ProgressBar(total=1, completed=1, width=BAR)
    if stage.state != JobState.JOB_STATE_RUNNING:
        return state_word(stage.state)
    total = stage.progress.total or None
    return ProgressBar(total=total, completed=stage.progress.done, width=BAR, pulse=total is None)


def _done(stage: StageStatus) -> str:
    progress = stage.progress
    if stage.state != JobState.JOB_STATE_RUNNING or not progress.unit:
        return ""
    of = f"/{progress.total}" if progress.total else ""
    return f"{progress.done}{of} {progress.unit}"


def _note(stage: StageStatus) -> Text:
    if stage.error:
        return Text(stage.error, style="red")
    if stage.state != JobState.JOB_STATE_RUNNING:
        notes = [f"{stage.rejected} set aside"] * bool(stage.rejected) + ["from its result"] * stage.cached
        return Text(", ".join(notes), style="dim")
    metrics = " ".join(f"{name} {value:.4g}" for name, value in sorted(stage.progress.metrics.items()))
    return Text(f"{stage.progress.phase} {metrics}", style="dim")


def _characters(job: Job) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    likened = any(each.HasField("likeness") for each in job.characters)
    for column in ("index", "character", "pictures", *["looks like"] * likened, "state", "best step", "RecScore", "error"):
        table.add_column(column)
    images = {each.index: each.images for each in job.characters}
    merged = {other: each.index for each in job.characters for other in each.merged}
    for each in job.characters:
        index = " + ".join(map(str, [each.index, *each.merged]))
        pictures = each.images + sum(images[other] for other in each.merged)
        state = Text(f"with {merged[each.index]}", style="dim") if each.index in merged else _state(each)
        best = str(each.best_step) if each.best_step else ""
        score = f"{each.recscore:.3f}" if each.best_step else ""
        like = [_looks_like(each.likeness.name, each.likeness.score, each.likeness.certain)] * likened
        table.add_row(index, Text(each.name), str(pictures), *like, state, best, score, Text(each.error))
    return table


def _state(character: CharacterStatus) -> Text:
    """How a character stands; nothing is said of one that is not trained."""
    match character.approval:
        case Approval.APPROVAL_WAITING:
            return Text("waits for approval", style="magenta")
        case Approval.APPROVAL_REFUSED:
            return Text("not published", style="yellow")
        case _:
            return state_word(character.state) if character.state else Text()
