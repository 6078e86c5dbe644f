"""The keyframer as a stage: its manifest, its errors, going on from a checkpoint."""

import re
import zipfile
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from kyara.keyframer.v1.keyframer_pb2 import KeyframeParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import ImageSet, get_json, open_store, put_json, read_picture, ref
from kyara_keyframer.settings import KeyframerSettings
from kyara_keyframer.stage import OPERATIONS
from kyara_stage import StageError
from kyara_stage.testing import run_operation
from services.keyframer.tests.keyframer_drawings import plain, scene, write_video


class Bench:
    """A store, and the stage over it."""

    def __init__(self, folder: Path, threads: int = 2) -> None:
        self.settings = KeyframerSettings(store=folder.as_uri(), threads=threads)
        self.store = open_store(self.settings.store)

    def run(self, video: Path, params: KeyframeParams | None = None) -> tuple[ArtifactRef, list[dict[str, str]]]:
        inputs = {"video": ref("video", self.store.put(video), "video/x-matroska")}
        outputs, rejected = run_operation(OPERATIONS[0], params or KeyframeParams(), inputs, self.store, self.settings)
        return outputs["frames"], rejected


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "store")


def test_frames_carry_time_shot_sharpness_and_source(bench: Bench, tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mkv", [(scene(1), 1.0), (plain(0), 1.0), (scene(2), 1.0)])
    frames, rejected = bench.run(path, KeyframeParams(max_height=90))
    images = ImageSet.load(bench.store, frames)
    assert images.meta["shots"] == 3
    assert len({image.name for image in images}) == len(images) >= 2
    for image in images:
        assert image.time_s is not None and image.sharpness is not None
        assert image.shot in (0, 2)
        assert image.source == images.meta["video"]
        picture = read_picture(bench.store.get(image.digest))
        assert picture.size == (image.width, image.height) == (160, 90)
    assert [one["reason"].split(":")[0] for one in rejected] == ["black"]


def test_the_same_video_gives_the_same_manifest(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mkv", [(scene(1), 2.0), (scene(2), 1.0)])
    assert Bench(tmp_path / "one").run(path)[0] == Bench(tmp_path / "two").run(path)[0]


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Almost two minutes, so four segments: shots of every length, of which some go on from one segment to the next."""
    lengths = [3.5, 0.75, 9.0, 1.0, 2.25, 0.75, 6.5, 12.0, 0.75, 1.75]
    shots = [(plain(0), 1.0)] + [(scene(seed), length) for seed, length in enumerate(3 * lengths)]
    options = {"preset": "ultrafast", "g": "48", "sc_threshold": "0"}
    return write_video(tmp_path_factory.mktemp("long") / "long.mkv", shots, options=options)


@pytest.mark.parametrize("every_frame", [False, True], ids=["key frames", "every frame"])
def test_segments_in_parallel_give_the_frames_of_one_walk(tmp_path: Path, long_video: Path, every_frame: bool) -> None:
    params = KeyframeParams(every_frame=every_frame)
    one, two, five = (Bench(tmp_path / str(threads), threads) for threads in (1, 2, 5))
    assert one.run(long_video, params) == two.run(long_video, params) == five.run(long_video, params)


@pytest.mark.parametrize("threads", [1, 2])
def test_another_attempt_goes_on_from_the_checkpoint_to_the_same_result(tmp_path: Path, long_video: Path, threads: int) -> None:
    bench = Bench(tmp_path / "store", threads)
    whole = bench.run(long_video)
    (key,) = (listed.name for listed in bench.store.list_records("checkpoints"))
    assert bench.run(long_video) == whole
    # The state is really used: what it says of an image kept earlier is what comes out.
    record = bench.store.get_record(key)
    assert record is not None
    state = get_json(bench.store, ArtifactRef.FromString(record))
    state["images"][0]["note"] = "kept by an earlier attempt"
    bench.store.put_record(key, put_json(bench.store, "keyframer-state", state).SerializeToString())
    frames, rejected = bench.run(long_video)
    notes = [image.note for image in ImageSet.load(bench.store, frames)]
    assert notes[0] and not any(notes[1:])
    assert rejected == whole[1]


def test_what_a_damaged_file_lost_is_in_the_rejected_list(bench: Bench, tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mkv", [(scene(seed), 1.0) for seed in range(6)], options={"bf": "0"})
    data = bytearray(path.read_bytes()[: path.stat().st_size * 2 // 3])
    # Nonsense in one frame: it cannot be decoded, those behind it can.
    with av.open(str(path)) as container:
        place = [packet.pos or 0 for packet in container.demux(video=0) if packet.size][12]
    data[place + 12 : place + 40] = b"\xff" * 28
    path.write_bytes(data)
    frames, rejected = bench.run(path)
    reasons = " and ".join(one["reason"] for one in rejected)
    assert "1 damaged pieces between 0.5 s and 0.5 s could not be decoded" in reasons
    assert "the file is cut off: it ends at " in reasons
    assert len(ImageSet.load(bench.store, frames)) >= 3


def encrypted_zip(path: Path) -> None:
    """An archive whose one member is marked as encrypted, as `zip -e` marks it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("episode.mkv", bytes(range(256)) * 8)
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def sound_only(path: Path) -> None:
    """Half a second of silence."""
    with av.open(str(path), "w") as container:
        stream = cast(AudioStream, container.add_stream("aac", rate=44100))
        for _ in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate = 44100
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def no_frames(path: Path) -> None:
    """A video of 0 s: its head, and nothing behind."""
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream("mpeg4", rate=24))
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        container.start_encoding()


def frames_of_8k(path: Path) -> None:
    """Two frames of 7680x4320 px, which take 50 MB each when decoded."""
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream("mpeg4", rate=24))
        stream.width, stream.height, stream.pix_fmt = 7680, 4320, "yuv420p"
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame(7680, 4320, "yuv420p")))
        container.mux(stream.encode(None))


WRONG = [
    (lambda path: path.write_bytes(b""), "INVALID_ARGUMENT", "is not a video that can be decoded: it is empty"),
    (sound_only, "INVALID_ARGUMENT", "is not a video that can be decoded: it holds sound only"),
    (encrypted_zip, "INVALID_ARGUMENT", "it is an encrypted zip archive; unpack it first"),
    (no_frames, "INVALID_ARGUMENT", "it lasts 0 s: there is not one frame in it"),
    (frames_of_8k, "FAILED_PRECONDITION", "is too large: its frames have 7680x4320 px"),
    (lambda path: path.write_text("This is no video.\n" * 99), "INVALID_ARGUMENT", "FFmpeg knows no video in it"),
]


@pytest.mark.parametrize(("write", "code", "sentence"), WRONG, ids=["empty", "sound", "zip", "0 s", "8K", "text"])
def test_wrong_input_is_refused_with_a_code_and_a_sentence(bench: Bench, tmp_path: Path, write, code: str, sentence: str) -> None:
    path = tmp_path / "film.mkv"
    write(path)
    with pytest.raises(StageError, match=re.escape(sentence)) as refused:
        bench.run(path)
    assert refused.value.code.name == code
    assert str(path) not in str(refused.value)


def test_numbers_that_make_no_sense_are_refused(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="min_gap_s"):
        bench.run(write_video(tmp_path / "video.mkv", [(scene(1), 0.25)]), KeyframeParams(min_gap_s=-1))
