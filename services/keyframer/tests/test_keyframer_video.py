"""Videos as strangers send them: many codecs, odd shapes, damage, and files that are none."""

import math
import os
import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kyara_keyframer.container import VideoError
from kyara_keyframer.looks import sharpness
from kyara_keyframer.plan import Segment, Stretch
from kyara_keyframer.video import Frame, Video
from services.keyframer.tests.keyframer_walks import frames_of

CODECS = [
    ("a.mkv", "libx264", "yuv420p", {"preset": "ultrafast"}),
    ("b.mp4", "libx264", "yuv420p10le", {"preset": "ultrafast"}),
    ("c.mkv", "libx265", "yuv420p", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    ("d.webm", "libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8"}),
    ("e.mkv", "libsvtav1", "yuv420p", {"preset": "12", "svtav1-params": "lp=1"}),
    ("f.avi", "mpeg4", "yuv420p", {}),
    ("g.ts", "libx264", "yuv420p", {"preset": "ultrafast"}),
    ("h.mp4", "libx265", "yuv420p10le", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    ("i.ts", "mpeg2video", "yuv420p", {"q": "2"}),
    ("j.mpg", "mpeg2video", "yuv420p", {"q": "2"}),
    ("k.webm", "libsvtav1", "yuv420p", {"preset": "12", "svtav1-params": "lp=1"}),
    ("l.avi", "libx264", "yuv420p", {"preset": "veryfast"}),
    ("m.mov", "prores", "yuv422p10le", {}),
]


@pytest.mark.parametrize(("name", "codec", "pixel_format", "options"), CODECS, ids=[case[0] for case in CODECS])
def test_frames_come_with_their_times_from_every_codec(write_video, drawings, name, codec, pixel_format, options) -> None:
    scene, _ = drawings
    drawing = scene(5)
    path = write_video([(drawing, 1.0)], name, codec, pixel_format, options)
    video = Video(path)
    frames = frames_of(video)
    times = [frame.time_s for frame in frames]
    assert times == pytest.approx([round(24 * time_s) / 24 for time_s in times], abs=0.003)
    # Those that no other frame needs are left out.
    assert times[0] == 0 and times[-1] > 0.8
    assert all(0.03 < later - earlier < 0.2 for earlier, later in pairwise(times))
    assert frames[0].key
    middle = min(frames, key=lambda frame: abs(frame.time_s - 0.5))
    assert sharpness(middle.image) > 1
    shown = np.asarray(video.picture(middle)).astype(int)
    assert np.abs(shown - np.asarray(drawing(middle.time_s)).astype(int)).mean() < 12
    assert video.index.lost == ()


def test_writing_av1_takes_the_machine_from_no_later_test(write_video, drawings) -> None:
    scene, _ = drawings
    write_video([(scene(5), 0.2)], "e.mkv", "libsvtav1")
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.parametrize("name", ["a.mkv", "b.mp4", "c.ts", "d.avi"])
def test_any_stretch_of_the_file_can_be_read_alone(write_video, drawings, name: str) -> None:
    scene, _ = drawings
    path = write_video([(scene(6), 3.0)], name, "mpeg4" if name.endswith("avi") else "libx264", options={"g": "12"})
    video = Video(path)
    stamps = [int(video.index.stamps[place]) for place in video.index.keys]
    assert len(stamps) >= 5
    whole = [frame.position for frame in frames_of(video)]
    parts: list[int] = []
    for start, end in pairwise([*stamps, math.inf]):
        (((_, frames),)) = [
            (one, list(frames)) for one, frames in video.walk(Segment((Stretch(int(start), math.inf),), end, end))
        ]
        parts += [frame.position for frame in frames if isinstance(frame, Frame)]
    assert parts == whole


def test_the_key_frame_alone_is_the_first_frame_and_more_is_decoded_when_asked_for(write_video, drawings) -> None:
    scene, _ = drawings
    video = Video(write_video([(scene(6), 2.0)], options={"g": "12", "bf": "2"}))
    whole = frames_of(video)
    starts = [Stretch(int(video.index.stamps[place]), -math.inf) for place in video.index.keys]
    first = [next(frames) for _, frames in video.walk(Segment(tuple(starts), math.inf, math.inf))]
    assert [frame.position for frame in first if isinstance(frame, Frame)] == [frame.position for frame in whole if frame.key]
    more = [frame for _, frames in video.walk(Segment(tuple(starts), math.inf, math.inf)) for frame in frames]
    assert [frame.position for frame in more if isinstance(frame, Frame)] == [frame.position for frame in whole]


def test_a_variable_frame_rate_keeps_the_times(write_video, drawings) -> None:
    scene, _ = drawings
    times = [frame.time_s for frame in frames_of(Video(write_video([(scene(6), 2.0), (scene(7), 2.0)], held=3)))]
    assert {round(later - earlier, 2) for earlier, later in pairwise(times)} >= {0.12, 0.17}
    assert 3.8 < times[-1] < 4.0


def test_pictures_are_scaled_to_the_height_asked_for(write_video, drawings) -> None:
    scene, _ = drawings
    video = Video(write_video([(scene(7), 0.25)]))
    frame = frames_of(video)[0]
    assert video.picture(frame, max_height=90).size == (160, 90)
    assert video.picture(frame, max_height=1080).size == (320, 180)


def test_pixels_that_are_not_square_are_made_so(write_video, drawings) -> None:
    scene, _ = drawings
    video = Video(write_video([(scene(7, (240, 180)), 0.25)], aspect=Fraction(4, 3)))
    assert video.picture(frames_of(video)[0]).size == (320, 180)


def test_a_video_filmed_on_its_side_is_shown_upright(write_video, drawings) -> None:
    scene, _ = drawings
    drawing = scene(8)
    path = write_video([(lambda time_s: drawing(time_s).rotate(90, expand=True), 0.25)], "turned.mp4", turned=-90)
    video = Video(path)
    shown = video.picture(frames_of(video)[0])
    assert shown.size == (320, 180)
    assert np.abs(np.asarray(shown).astype(int) - np.asarray(drawing(0)).astype(int)).mean() < 12


def test_pixels_of_an_absurd_shape_are_taken_as_square(write_video, drawings) -> None:
    scene, _ = drawings
    video = Video(write_video([(scene(7), 0.25)], aspect=Fraction(1000)))
    assert video.picture(frames_of(video)[0]).size == (320, 180)


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile 'other.mkv'\n",
        bytes(range(256)) * 64,
    ],
    ids=["playlist", "list of parts", "noise"],
)
def test_a_file_that_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.mkv"
    path.write_bytes(content)
    with pytest.raises(VideoError):
        Video(path)


@pytest.mark.parametrize("name", ["a.mkv", "b.avi", "c.mp4"])
def test_a_truncated_video_gives_what_decodes_and_says_where_it_ends(write_video, drawings, name: str) -> None:
    scene, _ = drawings
    mux = {"movflags": "+faststart"} if name == "c.mp4" else {}
    path = write_video([(scene(seed), 1.0) for seed in range(6)], name, mux=mux)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    video = Video(path)
    frames = frames_of(video)
    assert 24 <= len(frames) < 5 * 24
    (sentence,) = video.index.lost
    told = re.fullmatch(r"the file is cut off: it ends at ([\d.]+) s of 6.0 s", sentence)
    assert told
    assert float(told[1]) == pytest.approx(frames[-1].time_s, abs=0.3)


def test_damage_in_the_middle_does_not_end_the_walk(write_video, drawings) -> None:
    scene, _ = drawings
    path = write_video([(scene(10), 3.0)], options={"g": "24", "bf": "0"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = bytes(600)
    path.write_bytes(data)
    assert frames_of(Video(path))[-1].time_s > 2.8


def test_a_hole_in_the_middle_is_told_with_its_times(write_video, drawings) -> None:
    scene, _ = drawings
    path = write_video([(scene(10), 1.0), (None, 2.0), (scene(11), 1.0)])
    video = Video(path)
    assert video.index.lost == ("the file is damaged: it holds nothing from 1.0 s to 3.0 s",)
    times = [frame.time_s for frame in frames_of(video)]
    assert [time_s for time_s in times if 1.0 <= time_s < 3.0] == []
    assert sum(time_s < 1.0 for time_s in times) >= 6 and sum(time_s >= 3.0 for time_s in times) >= 6
