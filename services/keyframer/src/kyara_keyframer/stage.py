"""The stage `keyframer`: input `video`, output `frames`.

A checkpoint is written at the first cut after every half minute of video; it holds the images so far and the shot
from which to go on, so that an attempt after a crash ends with the same frames.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict

from kyara.keyframer.v1.keyframer_pb2 import KeyframeParams
from kyara_artifacts import Image, ImageSet, get_json, png_bytes, put_json
from kyara_keyframer.container import TooLarge, VideoError
from kyara_keyframer.parallel import Walker, Work
from kyara_keyframer.picking import Dropped, Kept, Rules, Shot
from kyara_keyframer.plan import Segment, segments
from kyara_keyframer.settings import KeyframerSettings
from kyara_keyframer.video import Lost, Video
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError

_CHECKPOINT_EVERY_S = 30.0


async def run(ctx: StageContext[KeyframerSettings], params: KeyframeParams, inputs: Inputs) -> Outputs:
    """Pick the frames of a video worth looking at: every shot's, sharp, apart, neither black nor blank nor credits.

    Raises StageError: INVALID_ARGUMENT for a file that is no video and for numbers that make no sense,
    FAILED_PRECONDITION for a video whose frames are too large.
    """
    rules = _rules(params)
    source = inputs["video"].digest.sha256
    path = ctx.scratch / "video"
    ctx.store.fetch(inputs["video"].digest, path)
    try:
        video = Video(path)
        work = _Work(ctx, video, source, params.max_height)
        work.do(rules, segments(video.index, params.every_frame))
    except TooLarge as error:
        raise StageError.precondition(f"the video with SHA-256 {source[:12]}... is too large: {error}") from error
    except VideoError as error:
        raise StageError.invalid(
            f"the file with SHA-256 {source[:12]}... is not a video that can be decoded: {error}; "
            "check the source, or leave the file out by the fetcher's patterns"
        ) from error
    for sentence in [*video.index.lost, *_undecoded(work.lost)]:
        ctx.reject(source[:12], sentence)
    meta = {"video": source, "shots": work.shots, "duration_s": round(video.index.length_s, 3)}
    return {"frames": ImageSet(images=tuple(work.images), meta=meta).save(ctx.store)}


class _Work:
    """One walk through a video and what it has found, or an earlier attempt before it."""

    def __init__(self, ctx: StageContext[KeyframerSettings], video: Video, source: str, max_height: int) -> None:
        self.images: list[Image] = []
        self.shots = 0
        self.lost: list[float] = []
        """Times in seconds of what could not be decoded."""
        self._ctx = ctx
        self._video = video
        self._source = source
        self._max_height = max_height

    def do(self, rules: Rules, whole: Sequence[Segment]) -> None:
        """Walk to the end. Raises VideoError when there is not one frame."""
        after = self._go_on()
        walker = Walker(self._video, rules, Work(self._image, self._looked), self._ctx.settings.threads)
        checkpoint_s = (after.time_s if after else 0.0) + _CHECKPOINT_EVERY_S
        for outcome in walker.walk(_from(whole, after), after):
            match outcome:
                case Image():
                    self.images.append(outcome)
                case Dropped(time_s, reason):
                    self._ctx.reject(self._name(time_s), reason)
                case Lost(time_s):
                    self.lost.append(time_s)
                case Shot():
                    self.shots = outcome.number + 1
                    if outcome.time_s >= checkpoint_s:
                        checkpoint_s = outcome.time_s + _CHECKPOINT_EVERY_S
                        self._keep_place(outcome)
        if self.shots == 0:
            raise VideoError("not one frame of it could be decoded")

    def _looked(self, time_s: float) -> None:
        found = {"frames_kept": float(len(self.images)), "shots": float(self.shots)}
        self._ctx.progress("looking for key frames", int(time_s), round(self._video.index.length_s), "s of video", found)

    def _image(self, kept: Kept) -> Image:
        picture = self._video.picture(kept.frame, self._max_height)
        digest = self._ctx.store.put(png_bytes(picture))
        return Image(
            name=self._name(kept.frame.time_s),
            sha256=digest.sha256,
            size=digest.size_bytes,
            width=picture.width,
            height=picture.height,
            source=self._source,
            time_s=round(kept.frame.time_s, 3),
            shot=kept.shot,
            sharpness=round(kept.sharpness, 3),
        )

    def _name(self, time_s: float) -> str:
        return f"{self._source[:12]}/{round(time_s * 1000):09d}ms.png"

    def _keep_place(self, shot: Shot) -> None:
        images = [image.model_dump(mode="json", exclude_defaults=True) for image in self.images]
        state = {"shot": asdict(shot), "images": images, "rejected": self._ctx.rejected, "lost": self.lost}
        self._ctx.checkpoint(put_json(self._ctx.store, "keyframer-state", state))

    def _go_on(self) -> Shot | None:
        """Take over what an earlier attempt found; the shot to go on from."""
        if self._ctx.last_checkpoint is None:
            return None
        state = get_json(self._ctx.store, self._ctx.last_checkpoint)
        self.images = [Image.model_validate(image) for image in state["images"]]
        self.lost = state["lost"]
        for each in state["rejected"]:
            self._ctx.reject(each["item"], each["reason"])
        return Shot(**state["shot"])


def _from(whole: Sequence[Segment], after: Shot | None) -> Sequence[Segment]:
    """The segments from the one on that holds a shot's first frame."""
    if after is None:
        return whole
    return [each for each in whole if each.end_s > after.time_s]


def _undecoded(lost: Sequence[float]) -> list[str]:
    """A sentence about the packets that could not be decoded, if there were any."""
    times = sorted(set(lost))
    if not times:
        return []
    return [f"{len(times)} damaged pieces between {times[0]:.1f} s and {times[-1]:.1f} s could not be decoded"]


def _rules(params: KeyframeParams) -> Rules:
    """The rules that `params` ask for; 0 is the default. Raises StageError for numbers that make no sense."""
    for name in ("min_gap_s", "black_luma", "blank_deviation", "max_height"):
        value = getattr(params, name)
        if value < 0 or not math.isfinite(value):
            raise StageError.invalid(f"keyframer: {name} is {value}; it must be 0 (the default) or more")
    default = Rules()
    return Rules(
        min_gap_s=params.min_gap_s or default.min_gap_s,
        black_luma=params.black_luma or default.black_luma,
        blank_deviation=params.blank_deviation or default.blank_deviation,
    )


OPERATIONS = (Operation(name="keyframer", version=3, params=KeyframeParams, run=run),)
