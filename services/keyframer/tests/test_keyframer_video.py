"""Videos as strangers send them: many codecs, odd shapes, damage, and files that are none."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from kyara_keyframer.looks import sharpness
from kyara_keyframer.video import Video, VideoError

CODECS = [
    ("a.mkv", "libx264", "yuv420p", {"preset": "ultrafast"}),
    ("b.mp4", "libx264", "yuv420p10le", {"preset": "ultrafast"}),
    ("c.mkv", "libx265", "yuv420p", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    ("d.webm", "libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8"}),
    ("e.mkv", "libsvtav1", "yuv420p", {"preset": "12", "svtav1-params": "lp=1"}),
    ("f.avi", "mpeg4", "yuv420p", {}),
    ("g.ts", "libx264", "yuv420p", {"preset": "ultrafast"}),
]


@pytest.mark.parametrize(("name", "codec", "pixel_format", "options"), CODECS, ids=[case[0] for case in CODECS])
def test_frames_come_with_their_times_from_every_codec(write_video, drawings, name, codec, pixel_format, options) -> None:
    scene, _ = drawings
    drawing = scene(5)
    path = write_video([(drawing, 1.0)], name, codec, pixel_format, options)
    video = Video(path)
    frames = list(video.frames())
    assert len(frames) == 24
    assert [frame.time_s for frame in frames] == pytest.approx([number / 24 for number in range(24)], abs=0.003)
    assert frames[0].key
    assert sharpness(frames[12].image) > 1
    shown = np.asarray(video.picture(frames[12])).astype(int)
    assert np.abs(shown - np.asarray(drawing(0.5)).astype(int)).mean() < 12
    assert video.damaged == 0


@pytest.mark.parametrize("name", ["a.mkv", "b.mp4", "c.ts", "d.avi"])
def test_frames_can_be_read_from_any_place_on(write_video, drawings, name: str) -> None:
    scene, _ = drawings
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    path = write_video([(scene(6), 2.0)], name, codec, options={"g": "12"})
    video = Video(path)
    positions = [frame.position for frame in video.frames()]
    for place in (0, 1, 11, 12, 13, 30, 47):
        assert [frame.position for frame in video.frames(positions[place])] == positions[place:]


def test_pictures_are_scaled_to_the_height_asked_for(write_video, drawings) -> None:
    scene, _ = drawings
    video = Video(write_video([(scene(7), 0.25)]))
    frame = next(video.frames())
    assert video.picture(frame, max_height=90).size == (160, 90)
    assert video.picture(frame, max_height=1080).size == (320, 180)


def test_pixels_that_are_not_square_are_made_so(write_video, drawings) -> None:
    scene, _ = drawings
    video = Video(write_video([(scene(7, (240, 180)), 0.25)], aspect=Fraction(4, 3)))
    assert video.picture(next(video.frames())).size == (320, 180)


def test_a_video_filmed_on_its_side_is_shown_upright(write_video, drawings) -> None:
    scene, _ = drawings
    drawing = scene(8)
    path = write_video([(lambda time_s: drawing(time_s).rotate(90, expand=True), 0.25)], "turned.mp4", turned=-90)
    video = Video(path)
    shown = video.picture(next(video.frames()))
    assert shown.size == (320, 180)
    assert np.abs(np.asarray(shown).astype(int) - np.asarray(drawing(0)).astype(int)).mean() < 12


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"This is no video, whatever its name says.\n" * 50,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile 'other.mkv'\n",
        bytes(range(256)) * 64,
    ],
    ids=["empty", "text", "playlist", "list of parts", "noise"],
)
def test_a_file_that_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.mkv"
    path.write_bytes(content)
    with pytest.raises(VideoError):
        Video(path)


def test_a_truncated_video_gives_what_decodes(write_video, drawings) -> None:
    scene, _ = drawings
    path = write_video([(scene(9), 3.0)])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert 24 <= len(list(Video(path).frames())) < 72


def test_damage_in_the_middle_does_not_end_the_walk(write_video, drawings) -> None:
    scene, _ = drawings
    path = write_video([(scene(10), 3.0)], options={"g": "24", "bf": "0"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = bytes(600)
    path.write_bytes(data)
    times = [frame.time_s for frame in Video(path).frames()]
    assert times[-1] > 2.8
