"""Memory: a long film takes no more of it than a short one."""

import subprocess
import sys
from pathlib import Path

import av
import pytest

from services.keyframer.tests.keyframer_drawings import scene, write_video

RUN = """
import resource, sys
from pathlib import Path
from kyara.keyframer.v1.keyframer_pb2 import KeyframeParams
from kyara_artifacts import ImageSet, open_store, ref
from kyara_keyframer.settings import KeyframerSettings
from kyara_keyframer.stage import OPERATIONS
from kyara_stage.testing import run_operation
settings = KeyframerSettings(store=Path(sys.argv[2]).as_uri(), threads=2)
store = open_store(settings.store)
video = {"video": ref("video", store.put(Path(sys.argv[1])), "video/x-matroska")}
outputs, _ = run_operation(OPERATIONS[0], KeyframeParams(), video, store, settings)
print(len(ImageSet.load(store, outputs["frames"]).images), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def repeated(once: Path, path: Path, times: int) -> Path:
    """The packets of a film of a minute, `times` times over."""
    with av.open(str(once)) as source:
        unit = source.streams.video[0].time_base
        assert unit is not None
        packets = [packet for packet in source.demux(video=0) if packet.size]
        stamps = [(packet.pts or 0, packet.dts or 0) for packet in packets]
        with av.open(str(path), "w") as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for number in range(times):
                for packet, (pts, dts) in zip(packets, stamps, strict=True):
                    # Muxing counts in units of its own: they are set anew each time.
                    packet.time_base = unit
                    later = round(number * 60 / unit)
                    packet.pts, packet.dts, packet.stream = pts + later, dts + later, stream
                    target.mux(packet)
    return path


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shots = [(scene(seed, (160, 90)), seconds) for seed, seconds in enumerate(4 * [4.5, 7.0, 0.75, 2.75])]
    return write_video(tmp_path_factory.mktemp("minute") / "minute.mkv", shots)


def test_two_hours_take_as_much_memory_as_six_minutes(tmp_path: Path, minute: Path) -> None:
    peaks: list[int] = []
    for minutes in (6, 120):
        path = repeated(minute, tmp_path / f"{minutes}.mkv", minutes)
        command = [sys.executable, "-c", RUN, str(path), str(tmp_path / f"store-{minutes}")]
        kept, peak_mib = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        assert kept >= 15 * minutes
        peaks.append(peak_mib)
    short, long = peaks
    assert long - short < 48
