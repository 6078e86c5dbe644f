"""The keyframer as a stage: its manifest, its errors, going on from a checkpoint."""

from pathlib import Path

import pytest

from kyara.keyframer.v1.keyframer_pb2 import KeyframeParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import ImageSet, get_json, open_store, put_json, read_picture, ref
from kyara_keyframer.settings import KeyframerSettings
from kyara_keyframer.stage import OPERATIONS
from kyara_stage import StageError
from kyara_stage.testing import run_operation


class Bench:
    """A store, and the stage over it."""

    def __init__(self, folder: Path) -> None:
        self.settings = KeyframerSettings(store=folder.as_uri())
        self.store = open_store(self.settings.store)

    def run(self, video: Path, params: KeyframeParams | None = None) -> tuple[ArtifactRef, list[dict[str, str]]]:
        inputs = {"video": ref("video", self.store.put(video), "video/x-matroska")}
        outputs, rejected = run_operation(OPERATIONS[0], params or KeyframeParams(), inputs, self.store, self.settings)
        return outputs["frames"], rejected


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "store")


def test_frames_carry_time_shot_sharpness_and_source(bench: Bench, write_video, drawings) -> None:
    scene, plain = drawings
    path = write_video([(scene(1), 1.0), (plain(0), 1.0), (scene(2), 1.0)])
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


def test_the_same_video_gives_the_same_manifest(tmp_path: Path, write_video, drawings) -> None:
    scene, _ = drawings
    path = write_video([(scene(1), 2.0), (scene(2), 1.0)])
    assert Bench(tmp_path / "one").run(path)[0] == Bench(tmp_path / "two").run(path)[0]


def test_another_attempt_goes_on_from_the_checkpoint_to_the_same_result(bench: Bench, write_video, drawings) -> None:
    scene, plain = drawings
    path = write_video([(plain(0), 1.0)] + [(scene(seed), 3.0) for seed in range(6)], options={"preset": "ultrafast"})
    whole = bench.run(path)
    (key,) = bench.store.list_records("checkpoints")
    assert bench.run(path) == whole
    # The state is really used: what it says of an image kept earlier is what comes out.
    record = bench.store.get_record(key)
    assert record is not None
    state = get_json(bench.store, ArtifactRef.FromString(record))
    state["images"][0]["note"] = "kept by an earlier attempt"
    bench.store.put_record(key, put_json(bench.store, "keyframer-state", state).SerializeToString())
    frames, rejected = bench.run(path)
    notes = [image.note for image in ImageSet.load(bench.store, frames)]
    assert notes[0] and not any(notes[1:])
    assert rejected == whole[1]


def test_a_text_file_is_refused_in_words(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    path.write_text("This is no video, whatever its name says.\n" * 50)
    with pytest.raises(StageError, match="is not a video that can be decoded") as refused:
        bench.run(path)
    assert refused.value.code.name == "INVALID_ARGUMENT"


def test_numbers_that_make_no_sense_are_refused(bench: Bench, write_video, drawings) -> None:
    scene, _ = drawings
    with pytest.raises(StageError, match="min_gap_s"):
        bench.run(write_video([(scene(1), 0.25)]), KeyframeParams(min_gap_s=-1))
