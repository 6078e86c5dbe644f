"""What is decoded: key frames where they stand for shots, more behind them where they do not, everything where they never do."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from kyara_keyframer.picking import Picker, Rules
from kyara_keyframer.plan import segments
from kyara_keyframer.video import Frame, Lost, Video
from services.keyframer.tests.keyframer_drawings import Drawing, mosaic, scene, write_video
from services.keyframer.tests.keyframer_walks import kept_times, picked

FILMS = [
    ("a key frame at each cut", "a.mkv", "libx264", {"g": "240"}),
    ("none within a second of another", "b.mkv", "libx264", {"g": "240", "keyint_min": "40"}),
    ("each 2 s, wherever cuts are", "c.mkv", "libx264", {"g": "48", "sc_threshold": "0"}),
    ("only the first", "d.mp4", "libx264", {"g": "9999", "sc_threshold": "0"}),
    ("everywhere", "e.mkv", "libx264", {"g": "1", "preset": "ultrafast"}),
    ("each half second", "f.ts", "mpeg2video", {"g": "12", "bf": "2", "b": "4M"}),
    ("open groups", "g.mkv", "libx265", {"x265-params": "log-level=none:keyint=240:open-gop=1", "preset": "ultrafast"}),
    ("hidden frames", "h.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "g": "240"}),
    ("even, in AV1", "i.mkv", "libsvtav1", {"preset": "12", "svtav1-params": "lp=1", "g": "120"}),
    ("AVI with B-frames", "j.avi", "libx264", {"g": "240"}),
]
LENGTHS = [0.75, 2.0, 0.75, 0.75, 1.5, 3.0, 0.75, 1.0, 5.0, 0.75, 0.75, 0.75]


@pytest.mark.parametrize("drawing", [scene, mosaic])
@pytest.mark.parametrize(("name", "codec", "options"), [film[1:] for film in FILMS], ids=[film[0] for film in FILMS])
def test_every_shot_has_a_frame_wherever_the_key_frames_are(
    tmp_path: Path, drawing: Callable[[int], Drawing], name: str, codec: str, options: dict[str, str]
) -> None:
    shots: list[tuple[Drawing, float]] = [(drawing(seed), seconds) for seed, seconds in enumerate(LENGTHS)]
    events = picked(write_video(tmp_path / name, shots, codec, options=options), every_frame=False)
    times, begin = kept_times(events), 0.0
    for number, seconds in enumerate(LENGTHS):
        # A container rounds times to milliseconds.
        assert any(begin - 0.002 <= time_s < begin + seconds - 0.002 for time_s in times), f"shot {number} at {begin} s"
        begin += seconds
    assert all(later - earlier >= 0.498 for earlier, later in pairwise(times))


@pytest.mark.parametrize(("even", "least", "most"), [(False, 0.0, 0.15), (True, 0.4, 1.0)], ids=["at cuts", "at even distances"])
def test_of_a_film_with_a_key_frame_at_each_cut_little_more_is_decoded(
    tmp_path: Path, even: bool, least: float, most: float
) -> None:
    shots: list[tuple[Drawing, float]] = [(mosaic(seed), 3.0 + seed % 3) for seed in range(8)]
    options = {"g": "48", "sc_threshold": "0"} if even else {"g": "240"}
    video = Video(write_video(tmp_path / "film.mkv", shots, options=options))
    looked = 0

    def counted(frames: Iterator[Frame | Lost]) -> Iterator[Frame | Lost]:
        nonlocal looked
        for frame in frames:
            looked += 1
            yield frame

    picker = Picker(Rules())
    for segment in segments(video.index, every_frame=False):
        list(picker.walk((stretch, counted(frames)) for stretch, frames in video.walk(segment)))
    assert least <= looked / len(video.index.stamps) <= most
