"""The stage `keyframer`: input `video`, output `frames`.

A checkpoint is written at the first cut after every few seconds of video; it holds the images so far and the shot
from which to go on, so that an attempt after a crash ends with the same frames.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict

from kyara.keyframer.v1.keyframer_pb2 import KeyframeParams
from kyara_artifacts import Image, ImageSet, get_json, put_json, put_picture
from kyara_keyframer.picking import Dropped, Kept, Rules, Shot, pick
from kyara_keyframer.settings import KeyframerSettings
from kyara_keyframer.video import Frame, Video, VideoError
from kyara_stage import Inputs, Operation, Outputs, StageContext, StageError

_CHECKPOINT_EVERY_S = 10.0


async def run(ctx: StageContext[KeyframerSettings], params: KeyframeParams, inputs: Inputs) -> Outputs:
    """Pick the frames of a video worth looking at: every shot's, sharp, apart, neither black nor blank."""
    rules = _rules(params)
    source = inputs["video"].digest.sha256
    path = ctx.scratch / "video"
    ctx.store.fetch(inputs["video"].digest, path)
    try:
        video = Video(path)
        work = _Work(ctx, video, source, params.max_height)
        work.do(rules)
    except VideoError as error:
        raise StageError.invalid(
            f"the file with SHA-256 {source[:12]}... is not a video that can be decoded: {error}; "
            "check the source, or leave the file out by the fetcher's patterns"
        ) from error
    if video.damaged:
        ctx.reject(source[:12], f"{video.damaged} damaged pieces of the video could not be decoded")
    meta = {"video": source, "shots": work.shots, "duration_s": round(video.duration_s, 3)}
    return {"frames": ImageSet(images=tuple(work.images), meta=meta).save(ctx.store)}


class _Work:
    """One walk through a video and what it has found, or an earlier attempt before it."""

    def __init__(self, ctx: StageContext[KeyframerSettings], video: Video, source: str, max_height: int) -> None:
        self.images: list[Image] = []
        self.shots = 0
        self._ctx = ctx
        self._video = video
        self._source = source
        self._max_height = max_height

    def do(self, rules: Rules) -> None:
        """Walk to the end. Raises VideoError when there is not one frame."""
        after = self._go_on()
        checkpoint_s = _CHECKPOINT_EVERY_S
        for event in pick(self._frames(after), rules, after):
            match event:
                case Kept():
                    self.images.append(self._image(event))
                case Dropped(time_s, reason):
                    self._ctx.reject(self._name(time_s), reason)
                case Shot(number, _, last_kept_s):
                    self.shots = number + 1
                    if last_kept_s is not None and last_kept_s >= checkpoint_s:
                        checkpoint_s = last_kept_s + _CHECKPOINT_EVERY_S
                        self._keep_place(event)
        if self.shots == 0:
            raise VideoError("not one frame of it could be decoded")

    def _frames(self, after: Shot | None) -> Iterator[Frame]:
        total = round(self._video.duration_s)
        for frame in self._video.frames(after.position if after else None):
            yield frame
            found = {"frames_kept": float(len(self.images)), "shots": float(self.shots)}
            self._ctx.progress("looking for key frames", int(frame.time_s), total, "s of video", found)

    def _image(self, kept: Kept) -> Image:
        digest, width, height = put_picture(self._ctx.store, self._video.picture(kept.frame, self._max_height))
        return Image(
            name=self._name(kept.frame.time_s),
            sha256=digest.sha256,
            size=digest.size_bytes,
            width=width,
            height=height,
            source=self._source,
            time_s=round(kept.frame.time_s, 3),
            shot=kept.shot,
            sharpness=round(kept.sharpness, 3),
        )

    def _name(self, time_s: float) -> str:
        return f"{self._source[:12]}/{round(time_s * 1000):09d}ms.png"

    def _keep_place(self, shot: Shot) -> None:
        images = [image.model_dump(mode="json", exclude_defaults=True) for image in self.images]
        state = {"shot": asdict(shot), "images": images, "rejected": self._ctx.rejected}
        self._ctx.checkpoint(put_json(self._ctx.store, "keyframer-state", state))

    def _go_on(self) -> Shot | None:
        """Take over what an earlier attempt found; the shot to go on from."""
        if self._ctx.last_checkpoint is None:
            return None
        state = get_json(self._ctx.store, self._ctx.last_checkpoint)
        self.images = [Image.model_validate(image) for image in state["images"]]
        for each in state["rejected"]:
            self._ctx.reject(each["item"], each["reason"])
        return Shot(**state["shot"])


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


OPERATIONS = (Operation(name="keyframer", version=1, params=KeyframeParams, run=run),)
