"""Boxes of four kinds and CCIP vectors of whom they show, beside dghs-imgutils called picture by picture."""

from collections.abc import Iterator
from pathlib import Path

import av
import PIL.Image

from kyara_inference import Inference, KindThreshold, detect, embed, local_path
from kyara_miniature.episode import make_episode
from tests.bench import peers
from tests.bench.rows import Row, medians
from tests.servers.inference import inference_server

SEED, PICTURES = 32, 64
CROPPED = (60, 20, 220, 330)
"""Of each frame one part of the size of a usual person is embedded."""
KINDS = [KindThreshold(kind, 0.3, 0.5) for kind in ("person", "halfbody", "head", "face")]


def figures(folder: Path) -> Iterator[Row]:
    """Kyara over gRPC, as stages ask; imgutils in its own process, one kind and one picture at a time."""
    make_episode(folder / "figures.mkv", SEED, seconds=PICTURES / 2 + 4)
    frames = _frames(folder / "figures.mkv")
    crops = [frame.crop(CROPPED) for frame in frames]
    boxes = peers.boxes(local_path("miniature-detector") / "model.onnx")
    vectors = peers.vectors(local_path("miniature-ccip") / "model_feat.onnx")
    with inference_server(folder) as server, Inference(server.address) as inference:

        def finding() -> None:
            detect(inference, "miniature-detector", frames, KINDS)

        def embedding() -> None:
            embed(inference, "miniature-ccip", crops)

        def their_finding() -> None:
            for frame in frames:
                boxes([frame])

        def their_embedding() -> None:
            for crop in crops:
                vectors([crop])

        found, embedded, their_found, their_embedded = medians(finding, embedding, their_finding, their_embedding)
    peer = "dghs-imgutils, picture by picture"
    notes = {"detector": round(their_found / found, 2), "embedder": round(their_embedded / embedded, 2)}
    yield Row(
        f"4 kinds of boxes in {len(frames)} frames and {len(crops)} vectors",
        found + embedded,
        peer,
        their_found + their_embedded,
        notes,
    )


def _frames(video: Path) -> list[PIL.Image.Image]:
    with av.open(str(video)) as container:
        return [frame.to_image() for number, frame in enumerate(container.decode(video=0)) if number % 12 == 6][:PICTURES]
