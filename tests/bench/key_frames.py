"""Key frames: the whole stage, frames written, beside PyAV that decodes key packets alone."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from kyara.keyframer.v1.keyframer_pb2 import KeyframeParams
from kyara_artifacts import ImageSet, open_store, ref
from kyara_keyframer.settings import KeyframerSettings
from kyara_keyframer.stage import OPERATIONS
from kyara_miniature.episode import make_episode
from kyara_miniature.scene import draw_scene
from kyara_stage.testing import run_operation
from tests.bench.rows import Row, medians

SEED = 31
EPISODE_S, LOOPS = 30, 3
"""Seconds drawn, and how often they are shown one after the other."""
HELD_S = 3
"""Seconds that a drawing of the held film stands, or is panned over."""


@dataclass(frozen=True)
class Encoding:
    """One way to encode a film: `episode` draws each figure anew every 0.75 s, `held` is stills and slow pans."""

    film: str
    what: str
    codec: str
    height: int
    options: dict[str, str]
    pixel_format: str = "yuv420p"


H264 = {"preset": "superfast", "crf": "20", "g": "240"}
HEVC = {"preset": "superfast", "crf": "22", "x265-params": "log-level=none:keyint=240:scenecut=40"}
ENCODINGS = (
    Encoding("held", "h264 1080p", "libx264", 1080, H264),
    Encoding("held", "h264 10 bit 720p", "libx264", 720, H264, "yuv420p10le"),
    Encoding("held", "hevc 720p", "libx265", 720, HEVC),
    Encoding("episode", "h264 720p", "libx264", 720, H264),
    Encoding("episode", "mpeg2 720p, a key frame each 0.6 s", "mpeg2video", 720, {"g": "15", "bf": "2", "b": "15M"}),
    Encoding("episode", "h264 720p, key frames rarer than shots", "libx264", 720, {**H264, "g": "250", "sc_threshold": "0"}),
    Encoding("episode", "h264 360p, all intra", "libx264", 360, {**H264, "g": "1"}),
)


def key_frames(folder: Path) -> Iterator[Row]:
    """The whole stage, frames written, beside what `ffmpeg -skip_frame nokey -i FILE %d.png` does: key packets alone, each
    as PNG by FFmpeg's encoder."""
    make_episode(folder / "episode-drawn.mkv", SEED, seconds=EPISODE_S)
    _draw_held(folder / "held-drawn.mkv")
    for number, encoding in enumerate(ENCODINGS):
        path = folder / f"{number}.mkv"
        _encode(folder / f"{encoding.film}-drawn.mkv", path, encoding)
        kept: list[int] = []
        keys: list[int] = []
        ours, theirs, bare = medians(
            _stage(folder, path, kept),
            lambda path=path, keys=keys: keys.append(sum(1 for packet in _key_pngs(path) if packet.size)),
            lambda path=path: sum(1 for _ in _key_images(path)),
        )
        notes = {
            "frames": kept[-1],
            "peer_frames": keys[-1],
            "speed_per_frame_written": round(kept[-1] / ours * theirs / keys[-1], 2),
            "peer_without_writing_s": round(bare, 3),
        }
        yield Row(f"{encoding.film}, {encoding.what}", ours, "PyAV, skip_frame=NONKEY, PNG", theirs, notes)


def _stage(folder: Path, path: Path, kept: list[int]) -> Callable[[], None]:
    """The stage's run, each time over a store of its own: a blob that is there already would not be written."""
    counter = itertools.count()

    def run() -> None:
        settings = KeyframerSettings(store=(folder / f"{path.stat().st_mtime_ns}-{next(counter)}").as_uri())
        store = open_store(settings.store)
        video = {"video": ref("video", store.put(path), "video/x-matroska")}
        outputs, _ = run_operation(OPERATIONS[0], KeyframeParams(black_luma=16, blank_deviation=4), video, store, settings)
        kept.append(len(ImageSet.load(store, outputs["frames"]).images))

    return run


def _key_images(path: Path) -> Iterator[VideoFrame]:
    """What `ffmpeg -skip_frame nokey` decodes, with its own threads."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.skip_frame = "NONKEY"
        yield from container.decode(stream)


def _key_pngs(path: Path) -> Iterator[Packet]:
    """Each of them as PNG, by FFmpeg's encoder as it is by default: as many threads as there are processors."""
    codec = cast(VideoCodecContext, av.CodecContext.create("png", "w"))
    for frame in _key_images(path):
        if not codec.is_open:
            codec.width, codec.height, codec.pix_fmt, codec.time_base = frame.width, frame.height, "rgb24", Fraction(1, 1000)
            codec.thread_count = 0
        yield from codec.encode(frame.reformat(format="rgb24"))
    yield from codec.encode(None)


def _draw_held(path: Path) -> None:
    """A film of limited animation: scenes that stand still or are panned over."""
    width, height = 1280, 720
    with av.open(str(path), "w") as target:
        stream = cast(VideoStream, target.add_stream("libx264", rate=24, options={"crf": "12", "preset": "superfast"}))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(EPISODE_S // HELD_S):
            picture = draw_scene(SEED + number, width=width + HELD_S * 24, height=height).image
            for count in range(HELD_S * 24):
                left = count if number % 2 else 0
                shown = np.ascontiguousarray(picture[:, left : left + width])
                target.mux(stream.encode(VideoFrame.from_ndarray(shown, format="rgb24")))
        target.mux(stream.encode(None))


def _encode(drawn: Path, path: Path, encoding: Encoding) -> None:
    """The drawn episode in another encoding, several times over."""
    # Matroska keeps no decoding times: a film with B-frames would begin with packets that lack them.
    once = path.with_suffix(".once.mp4")
    with av.open(str(drawn)) as source, av.open(str(once), "w") as target:
        stream = cast(VideoStream, target.add_stream(encoding.codec, rate=24, options=encoding.options))
        stream.width, stream.height, stream.pix_fmt = encoding.height * 16 // 9, encoding.height, encoding.pixel_format
        for frame in source.decode(video=0):
            frame.pict_type = 0
            target.mux(stream.encode(frame.reformat(stream.width, stream.height, encoding.pixel_format)))
        target.mux(stream.encode(None))
    _loop(once, path)


def _loop(once: Path, path: Path) -> None:
    """The same packets LOOPS times, one after the other."""
    with av.open(str(path), "w") as target:
        stream = None
        for loop in range(LOOPS):
            with av.open(str(once)) as source:
                stream = stream or target.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.pts is not None and packet.dts is not None and packet.time_base is not None:
                        later = round(loop * EPISODE_S / packet.time_base)
                        packet.pts, packet.dts, packet.stream = packet.pts + later, packet.dts + later, stream
                        target.mux(packet)
