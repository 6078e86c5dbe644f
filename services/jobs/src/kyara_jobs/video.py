"""A season of anime to one LoRA per character."""

from collections.abc import Mapping, Sequence

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from kyara.jobs.v1.jobs_pb2 import Approval, CharacterStatus, JobState, Likeness, Reference, VideoJob
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_jobs.failures import each, failure, good_ones
from kyara_jobs.names import characters_in, check_names, is_dropped
from kyara_jobs.order import Order, Recognition
from kyara_jobs.part import Part
from kyara_jobs.pipeline import Pipeline
from kyara_jobs.process import Outputs, Process


@workflow.defn
class FiguresOfEpisode(Part):
    """One video to the figures in its key frames."""

    @workflow.run
    async def run(self, order: Order, subject: str, video: ArtifactRef) -> ArtifactRef:
        """The episode's part of the job."""
        return await self.see_through(self.figures_of(Process(order, self.stage_changed, subject), video))

    async def figures_of(self, process: Process, video: ArtifactRef) -> ArtifactRef:
        """Key frames, then boxes."""
        frames = await process.key_frames_of(video)
        return await process.boxes_in(frames)


@workflow.defn
class VideoToLoras(Pipeline):
    """A season of anime to one published, scored LoRA per character."""

    @workflow.init
    def __init__(self, order: Order) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: Order) -> None:
        """The whole job."""
        await self.see_through(self.loras_of(order.spec.video))

    async def loras_of(self, video: VideoJob) -> None:
        """Fetch, find the figures, tell the characters apart, train each."""
        references = await self.looks_of(video.references)
        videos = await self.videos_in(video.sources)
        figures = await self.figures_in(videos)
        crops = await self.process.persons_in(figures)
        vectors = await self.process.vectors_of(crops)
        cast = await self.process.cast_of(crops, vectors)
        await self.show(cast)
        if references:
            self.recognise(await self.process.likenesses_in(cast, vectors, references))
        approve = self.order.spec.approve
        if not approve:
            await self.process.publish_cast(cast)
        await self.names_are_known(video)
        await self.train(await self.chosen(cast, video))
        if approve and any(character.approval == Approval.APPROVAL_GIVEN for character in self.job.characters):
            await self.process.publish_cast(cast)

    async def looks_of(self, references: Sequence[Reference]) -> dict[str, ArtifactRef]:
        """The vectors of known characters, by name. One that cannot be used ends the job while nothing is lost yet."""
        ends = await each(self.look_of(self.process.of(f"reference {known.name}"), known) for known in references)
        looks: dict[str, ArtifactRef] = {}
        for known, end in zip(references, ends, strict=True):
            if isinstance(end, ApplicationError):
                raise failure(end.type or "INTERNAL", f"reference {known.name}: {end.message}")
            looks[known.name] = end
        return looks

    async def look_of(self, process: Process, known: Reference) -> ArtifactRef:
        """A folder of a known character's pictures to the vectors of its crops."""
        pictures = await process.pictures_in(known.folder)
        figures = await process.boxes_in(pictures)
        return await process.vectors_of(await process.persons_in([figures]))

    async def videos_in(self, sources: Sequence[str]) -> list[ArtifactRef]:
        """All videos of all sources, in order. A bad source is set aside unless all are."""
        subjects = [""] if len(sources) == 1 else [f"source-{number:03}" for number in range(len(sources))]
        found = await each(self.process.of(subject).videos_in(source) for subject, source in zip(subjects, sources, strict=True))
        videos = [video for videos in good_ones(found) for video in videos]
        if not videos:
            raise failure("FAILED_PRECONDITION", "the sources hold no video; name .mkv or .mp4 files, or folders with some")
        return videos

    async def figures_in(self, videos: Sequence[ArtifactRef]) -> list[ArtifactRef]:
        """The figures of every episode. A bad episode is set aside unless all are."""
        return good_ones(
            await each(
                workflow.execute_child_workflow(
                    FiguresOfEpisode.run,
                    args=[self.order, f"episode-{number:03}", video],
                    id=f"{self.order.id}/episode-{number:03}",
                    parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
                )
                for number, video in enumerate(videos)
            )
        )

    async def show(self, cast: Outputs) -> None:
        """Say which characters there are, under the names that they have unless somebody gives them others."""
        for index, crops in enumerate(cast.numbered("character").values()):
            await self.add_character(index, f"{self.order.spec.name}-{index}", crops)
        self.show_names()
        if not self.job.characters:
            raise failure("FAILED_PRECONDITION", "no character was found: too few of the crops show the same one")

    def recognise(self, recognitions: Sequence[Recognition]) -> None:
        """Show whom each index is like, and give it the name where that is certain."""
        found = {character.index: character for character in self.job.characters}
        for one in recognitions:
            found[one.index].likeness.CopyFrom(Likeness(name=one.name, score=one.score, certain=one.certain))
        self.show_names()

    async def names_are_known(self, video: VideoJob) -> None:
        """Goes on at once unless the job waits for names that nobody has given yet."""
        if video.wait_for_names and not self.job.names:
            self.job.state = JobState.JOB_STATE_WAITING
            await workflow.wait_condition(lambda: bool(self.job.names))
            self.job.state = JobState.JOB_STATE_RUNNING

    def waits_for_names(self) -> bool:
        """Whether it does now; what waits for approval has been trained."""
        waits = self.job.state == JobState.JOB_STATE_WAITING
        return waits and not any(character.state for character in self.job.characters)

    def show_names(self) -> None:
        """Put the names that were given, or recognised, in the place of those made up."""
        names = {**self.recognised(), **self.job.names}
        for character in self.job.characters:
            if not is_dropped(name := names.get(character.index, character.name)):
                character.name = name

    def recognised(self) -> dict[int, str]:
        """Names of the indexes that certainly show a known character."""
        return {each.index: each.likeness.name for each in self.job.characters if each.likeness.certain}

    @workflow.update
    async def name_clusters(self, names: dict[int, str]) -> None:
        """Name, merge or drop indexes, and go on."""
        self.job.names.update(names)
        self.show_names()

    @name_clusters.validator
    def names_fit(self, names: dict[int, str]) -> None:
        """Refuses names that come at the wrong time or fit no character."""
        if not self.waits_for_names():
            raise failure("FAILED_PRECONDITION", f"job {self.job.id} does not wait for names; a job does with wait_for_names")
        check_names(names, {character.index for character in self.job.characters}, self.recognised())

    async def chosen(self, cast: Outputs, video: VideoJob) -> list[tuple[CharacterStatus, ArtifactRef]]:
        """The characters to train, each with all its crops: largest first, and no more than asked for."""
        found = {character.index: character for character in self.job.characters}
        wanted = characters_in(self.job.names, found, self.recognised())
        wanted.sort(key=lambda indexes: -sum(found[index].images for index in indexes))
        return [await self.one_of(cast, found, indexes) for indexes in wanted[: video.max_characters or None]]

    async def one_of(
        self, cast: Outputs, found: Mapping[int, CharacterStatus], indexes: Sequence[int]
    ) -> tuple[CharacterStatus, ArtifactRef]:
        """The character that `indexes` show, under the first of them."""
        first, *others = indexes
        found[first].merged.extend(others)
        return found[first], await self.process.crops_of(cast, indexes)
