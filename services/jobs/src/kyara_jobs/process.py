"""The stages as a workflow calls them: each method is one stage, with the recipe's params and its named inputs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from google.protobuf.message import Message
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

from kyara.crawler.v1.crawler_pb2 import ResolveParams
from kyara.jobs.v1.jobs_pb2 import CharacterJob, JobState, StageStatus
from kyara.stage.v1.stage_pb2 import Action, ArtifactRef, Caller
from kyara_jobs import params
from kyara_jobs.activities import Activities
from kyara_jobs.failures import failure, failure_of
from kyara_jobs.order import Order, Recognition, Verdict

HEARTBEAT = timedelta(seconds=30)
"""A worker that was not heard of for this long is dead, and another takes its stage over."""
LONGEST = timedelta(days=14)
# Attempts start about 1, 2, 4, 8, 15, 15, 15 s after the one before, and each waits for its server for a while,
# so a server that a supervisor brings back within a minute or two is waited for.
STAGE_RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(seconds=15), maximum_attempts=8
)
SHORT = timedelta(seconds=60)
SHORT_RETRIES = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10), maximum_attempts=8)

T = TypeVar("T")
Report = Callable[[StageStatus], None]


class Outputs(dict[str, ArtifactRef]):
    """What a stage gave, by name."""

    def __init__(self, status: StageStatus) -> None:
        super().__init__(status.outputs)
        self._stage = status.stage

    def __missing__(self, name: str) -> ArtifactRef:
        raise failure("INTERNAL", f"{self._stage} gave no output {name!r}; it gave {', '.join(sorted(self)) or 'nothing'}")

    def numbered(self, prefix: str) -> dict[str, ArtifactRef]:
        """The outputs `{prefix}_000`, `{prefix}_001`, ..., in order."""
        return {name: self[name] for name in sorted(self) if name.startswith(f"{prefix}_")}


class Process:
    """The stages of one job, or of the part of it that `subject` names. Each tells `report` how it stands.

    A stage that fails raises ApplicationError with the code as its type and the message for the user.
    """

    def __init__(self, order: Order, report: Report, subject: str = "") -> None:
        self._order = order
        self.recipe = order.recipe
        self._spec = order.spec
        self._report = report
        self._subject = subject

    def of(self, subject: str) -> "Process":
        """The same stages at work on `subject`."""
        return Process(self._order, self._report, subject)

    async def videos_in(self, source: str) -> list[ArtifactRef]:
        """A magnet link, torrent, file or folder to its videos."""
        pinned = await self._run("fetcher.resolve", params.resolve_source(source))
        fetched = await self._run("fetcher.fetch", params.fetch(self.recipe), pinned=pinned["pinned"])
        return list(fetched.numbered("video").values())

    async def pictures_in(self, folder: str) -> ArtifactRef:
        """A folder to an image set."""
        return await self._collected(params.resolve_folder(folder))

    async def pictures_of(self, character: CharacterJob) -> ArtifactRef:
        """A character's pictures, in a folder or on the web, to an image set."""
        return await self._collected(params.resolve_character(character))

    async def _collected(self, source: ResolveParams) -> ArtifactRef:
        pinned = await self._run("crawler.resolve", source)
        collected = await self._run("crawler.collect", params.collect(self.recipe), pinned=pinned["pinned"])
        return collected["images"]

    async def key_frames_of(self, video: ArtifactRef) -> ArtifactRef:
        """The frames of a video worth looking at."""
        return (await self._run("keyframer", params.keyframes(self.recipe), video=video))["frames"]

    async def boxes_in(self, images: ArtifactRef) -> ArtifactRef:
        """The same pictures with person, half-body, head and face boxes."""
        return (await self._run("detector", params.detect(self.recipe), images=images))["images"]

    async def persons_in(self, figures: Sequence[ArtifactRef]) -> ArtifactRef:
        """Clean crops of single persons, out of any number of image sets with boxes."""
        frames = {f"frames_{number:03}": each for number, each in enumerate(figures)}
        return (await self._run("curator.clean", params.clean(self.recipe), **frames))["crops"]

    async def character_in(self, pictures: ArtifactRef, **anchors: ArtifactRef) -> ArtifactRef:
        """Clean crops, out of image sets with boxes, of the character whom `anchors` show, or else most of the pictures."""
        return (await self._run("curator.web", params.web(self.recipe), images=pictures, **anchors))["crops"]

    async def vectors_of(self, crops: ArtifactRef) -> ArtifactRef:
        """What tells crops of one character from those of another."""
        return (await self._run("embedder", params.embed(self.recipe), images=crops))["vectors"]

    async def cast_of(self, crops: ArtifactRef, vectors: ArtifactRef) -> Outputs:
        """Crops to characters: `character_000` is the one with the most."""
        return await self._run("clusterer", params.cluster(self.recipe), crops=crops, vectors=vectors)

    async def likenesses_in(
        self, cast: Outputs, vectors: ArtifactRef, references: Mapping[str, ArtifactRef]
    ) -> list[Recognition]:
        """Whom each index is most like, of the characters whose vectors `references` holds."""
        known = {f"reference_{number:03}": each for number, each in enumerate(references.values())}
        wanted = params.recognise(self.recipe, list(references))
        found = await self._run("clusterer.recognise", wanted, clusters=cast["clusters"], vectors=vectors, **known)
        return await look_up(Activities.read_likenesses, found["likenesses"])

    async def publish_cast(self, cast: Outputs) -> None:
        """The characters of a job as one dataset, where the job says where to."""
        if self._spec.publish.WhichOneof("where"):
            shown = {name: cast[name] for name in ("clusters", "sheet")}
            await self._run("publisher.dataset", params.publish_dataset(self._spec), **shown)

    async def crops_of(self, cast: Outputs, indexes: Sequence[int]) -> ArtifactRef:
        """The crops of a character whom one index shows, or several."""
        if len(indexes) == 1:
            return cast[f"character_{indexes[0]:03}"]
        return await look_up(Activities.merge_indexes, cast["clusters"], list(indexes))

    async def package(self, name: str, crops: ArtifactRef) -> Outputs:
        """One character's crops to a captioned dataset and its packages."""
        return await self._run("curator.package", params.package(self.recipe, self._spec, name), crops=crops)

    async def train(self, name: str, dataset: ArtifactRef, images: int, saves: int = 0, before: Outputs | None = None) -> Outputs:
        """A dataset of `images` pictures to LoRA saves: all, or the first `saves` of them, going on from what was `before`."""
        wanted = params.train(self.recipe, self._spec.seed, name, images, saves)
        begun = {"checkpoint": before["checkpoint"]} if before else {}
        return await self._run("trainer", wanted, dataset=dataset, **begun)

    async def loras_in(self, path: str) -> Outputs:
        """LoRA files from anywhere to saves."""
        return await self._run("evaluator.pin", params.pin(path))

    async def evaluate(
        self, trigger: str, dataset: ArtifactRef, core_tags: list[str], trained: Outputs, before: Outputs | None = None
    ) -> Outputs:
        """LoRA saves to previews, scores and the best of them; prompts call the character by `trigger`.

        Saves that were judged `before` are not drawn again.
        """
        wanted = params.evaluate(self.recipe, self._spec.seed, trigger, core_tags)
        drawn = {"drawn": before["previews"]} if before else {}
        return await self._run("evaluator", wanted, dataset=dataset, **saves_in(trained), **drawn)

    async def verdict_in(self, judged: Outputs) -> Verdict:
        """What the evaluator's scores say."""
        return await look_up(Activities.read_verdict, judged["scores"])

    async def publish_character(self, name: str, packed: Outputs) -> None:
        """A character's dataset, where the job says where to."""
        if self._spec.publish.WhichOneof("where"):
            shown = {each: packed[each] for each in ("packages", "dataset")}
            await self._run("publisher.character", params.publish_character(self._spec, name), **shown)

    async def publish_lora(self, name: str, packed: Outputs, trained: Outputs, judged: Outputs) -> None:
        """A LoRA with all that shows what it is, where the job says where to."""
        if self._spec.publish.WhichOneof("where"):
            shown = {each: judged[each] for each in ("previews", "scores", "sheet", "curve")}
            # Saves that were judged before there was a page have none.
            shown |= {each: judged[each] for each in ("report",) if each in judged}
            shown |= {"dataset": packed["dataset"], **saves_in(trained)}
            # Jobs from before datasets had repositories of their own go on as they began.
            if not workflow.patched("character-dataset"):
                shown["packages"] = packed["packages"]
            await self._run("publisher.lora", params.publish_lora(self._spec, self.recipe, name), **shown)

    async def _run(self, stage: str, wanted: Message, **inputs: ArtifactRef) -> Outputs:
        action = Action(stage=stage, inputs=inputs, salt=self._spec.salt)
        action.params.Pack(wanted)
        status = StageStatus(stage=stage, subject=self._subject, state=JobState.JOB_STATE_RUNNING)
        self._report(status)
        try:
            status = await workflow.execute_activity_method(
                Activities.run_stage,
                args=[action, Caller(job=self._order.id), self._subject],
                start_to_close_timeout=LONGEST,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=STAGE_RETRIES,
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=f"{stage} {self._subject}".strip(),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            why = failure_of(error)
            status = StageStatus(stage=stage, subject=self._subject, state=JobState.JOB_STATE_FAILED, error=why.message)
            self._report(status)
            raise why from error
        self._report(status)
        return Outputs(status)


def saves_in(trained: Outputs) -> dict[str, ArtifactRef]:
    """A training's saves, and the words of their own where the recipe trains some."""
    return {name: trained[name] for name in ("saves", "embeddings") if name in trained}


async def look_up(activity: Callable[..., Awaitable[T]], *artifacts: Any) -> T:
    """What a short activity makes of `artifacts` in the store."""
    return await workflow.execute_activity_method(
        activity, args=artifacts, start_to_close_timeout=SHORT, retry_policy=SHORT_RETRIES
    )
