"""`make bench`: how fast Kyara's own work is beside a peer that does the same, measured in one run.

Every row is the median of several runs of each side, taken in turn, and their ratio (above 1: Kyara is faster).
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import PIL.Image
from rich.console import Console
from rich.table import Table

from kyara.keyframer.v1.keyframer_pb2 import KeyframeParams
from kyara_artifacts import open_store, ref
from kyara_inference import Inference, detect, embed
from kyara_inference.catalogue import local_path
from kyara_inference.detection import KindThreshold
from kyara_keyframer.settings import KeyframerSettings
from kyara_keyframer.stage import OPERATIONS
from kyara_miniature.episode import make_episode
from kyara_stage.testing import run_operation
from tests.bench import peers
from tests.bench.rows import medians
from tests.servers.inference import inference_server
from tests.servers.s3 import s3_server

PICTURES = 24
BLOBS = 200


def main() -> None:
    """Run every pair and print the table."""
    table = Table("what", "Kyara", "peer", "ratio", title="medians of whole runs")
    with tempfile.TemporaryDirectory(prefix="kyara-bench-") as name:
        folder = Path(name)
        make_episode(folder / "episode.mkv", 21, seconds=30)
        pictures = _frames(folder / "episode.mkv", PICTURES)
        for row in [_key_frames(folder), *_inference(folder, pictures), _store(folder)]:
            table.add_row(*row)
    Console().print(table)


def _key_frames(folder: Path) -> tuple[str, ...]:
    """Shots, key frames and their sharpness, against decoding every frame and comparing it with the last."""
    settings = KeyframerSettings(store=f"file://{folder}/store")
    store = open_store(settings.store)
    digest = store.put(folder / "episode.mkv")
    video = {"video": ref("video", digest, "video/x-matroska")}
    counter = iter(range(1000))

    def ours() -> None:
        # Another gap each time: the same action would go on from its checkpoint.
        params = KeyframeParams(min_gap_s=0.5 + next(counter) * 1e-6, black_luma=16, blank_deviation=4)
        run_operation(OPERATIONS[0], params, video, store, settings)

    return _row(
        "key frames of 30 s at 720p / PyAV, every frame compared in RGB", ours, lambda: peers.cuts(folder / "episode.mkv")
    )


def _inference(folder: Path, pictures: list[PIL.Image.Image]) -> list[tuple[str, ...]]:
    detector, ccip = local_path("miniature-detector") / "model.onnx", local_path("miniature-ccip") / "model_feat.onnx"
    kinds = [KindThreshold(kind, 0.3, 0.5) for kind in ("person", "halfbody", "head", "face")]
    with inference_server(folder) as server, Inference(server.address) as inference:
        imgutils_boxes, imgutils_vectors = peers.boxes(detector), peers.vectors(ccip)
        return [
            _row(
                f"4 kinds of boxes in {len(pictures)} frames over gRPC / dghs-imgutils in process",
                lambda: detect(inference, "miniature-detector", pictures, kinds),
                lambda: imgutils_boxes(pictures),
            ),
            _row(
                f"CCIP vectors of {len(pictures)} pictures over gRPC / dghs-imgutils in process",
                lambda: embed(inference, "miniature-ccip", pictures),
                lambda: imgutils_vectors(pictures),
            ),
        ]


def _store(folder: Path) -> tuple[str, ...]:
    rng = np.random.default_rng(1)
    with s3_server(folder) as server:
        os.environ.update(server.environment)
        store = open_store(server.url("bench"))

        def blobs() -> list[bytes]:
            return [rng.bytes(50_000) for _ in range(BLOBS)]

        return _row(
            f"{BLOBS} blobs of 50 kB to S3, put_all / one after the other",
            lambda: store.put_all(blobs()),
            lambda: [store.put(blob) for blob in blobs()],
        )


def _row(what: str, ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[str, ...]:
    mine, peer = medians(ours, theirs)
    return what, f"{mine:.2f} s", f"{peer:.2f} s", f"{peer / mine:.2f}"


def _frames(video: Path, count: int) -> list[PIL.Image.Image]:
    with av.open(str(video)) as container:
        frames = [frame.to_image() for number, frame in enumerate(container.decode(video=0)) if number % 25 == 12]
    return frames[:count]


if __name__ == "__main__":
    main()
