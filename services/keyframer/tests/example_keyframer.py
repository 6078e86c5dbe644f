"""A tiny valid action for the keyframer, for the contract suite."""

import tempfile
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags

from kyara.keyframer.v1.keyframer_pb2 import KeyframeParams
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Store, ref


def example(store: Store) -> tuple[KeyframeParams, dict[str, ArtifactRef]]:
    """Two shots of a second each, 64x48 px."""
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.mkv"
        # Bit-exact, or the file would carry a random number and each try would be another action.
        with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
            stream = container.add_stream("ffv1", rate=12)
            stream.codec_context.flags |= Flags.bitexact
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            # The bytes depend on the number of threads, which would be that of the machine's cores.
            stream.thread_count = 1
            for _ in range(2):
                picture = np.kron(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
                for _ in range(12):
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
            container.mux(stream.encode(None))
        return KeyframeParams(), {"video": ref("video", store.put(path), "video/x-matroska")}
