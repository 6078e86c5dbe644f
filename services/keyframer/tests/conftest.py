"""Small videos with known shots, made by the same FFmpeg that a stranger's would be read with."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from services.keyframer.tests.keyframer_drawings import Drawing, plain, scene
from services.keyframer.tests.keyframer_drawings import write_video as write


@pytest.fixture
def write_video(tmp_path: Path) -> Callable[..., Path]:
    """Write shots into a file of the temporary folder."""

    def write_here(
        shots: Sequence[tuple[Drawing | None, float]],
        name: str = "video.mkv",
        codec: str = "libx264",
        pixel_format: str = "yuv420p",
        options: dict[str, str] | None = None,
        **more: Any,
    ) -> Path:
        return write(tmp_path / name, shots, codec, pixel_format, options, **more)

    return write_here


@pytest.fixture
def drawings() -> tuple[Callable[..., Drawing], Callable[..., Drawing]]:
    """The makers of drawings: `scene` and `plain`."""
    return scene, plain
