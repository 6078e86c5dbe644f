"""Cleaning, 3-stage crops and tags of a crawl, beside dghs-imgutils called picture by picture on the same models."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import PIL.Image

from kyara.jobs.v1.jobs_pb2 import JobSpec
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Image, ImageSet, Store, open_store, put_picture
from kyara_curator import stage as curator
from kyara_curator.settings import CuratorSettings
from kyara_detector import stage as detector
from kyara_detector.settings import DetectorSettings
from kyara_inference import catalogue, local_path
from kyara_jobs import params
from kyara_jobs.recipe import recipe_named
from kyara_miniature.pictures import make_pictures
from kyara_stage.testing import run_operation
from tests.bench import peers
from tests.bench.rows import Row, medians
from tests.servers.inference import inference_server

SEED, PICTURES = 33, 96
PERSON, HALFBODY, HEAD, FACE = range(4)


def curating(folder: Path) -> Iterator[Row]:
    """Kyara's stages over a store and gRPC; imgutils in its own process. Both begin with files and end with a file and a caption
    for each crop of the pictures kept. The peer looks for no near-duplicates or flaws (imgutils' own way, LPIPS, needs weights
    that are not shipped here), and takes a picture with a second box on its one face, so that both have about as many crops.
    """
    make_pictures(folder / "site", SEED, count=PICTURES)
    url = f"file://{folder}/store"
    store = open_store(url)
    paths = sorted((folder / "site").glob("*.png"))
    images = ImageSet(images=tuple(_kept(store, path) for path in paths)).save(store)
    peer = Peer()
    counts: dict[str, int] = {}
    with inference_server(folder) as server:
        given = {"store": url, "listen": "127.0.0.1:0", "inference": server.address}

        def ours() -> None:
            counts["crops"] = _curated(store, images, given)

        def theirs() -> None:
            counts["crops_peer"] = peer.curated(paths, folder / "peer")

        kyara_s, peer_s = medians(ours, theirs)
    rates = {"pictures_per_s": round(PICTURES / kyara_s, 2), "peer_pictures_per_s": round(PICTURES / peer_s, 2)}
    a_crop = round(peer_s / counts["crops_peer"] / (kyara_s / counts["crops"]), 2)
    notes = {**counts, **rates, "ratio_for_each_crop": a_crop}
    yield Row(f"cleaning, crops and tags of {PICTURES} pictures", kyara_s, "dghs-imgutils, picture by picture", peer_s, notes)


def _kept(store: Store, path: Path) -> Image:
    digest, width, height = put_picture(store, PIL.Image.open(path).convert("RGB"))
    return Image(name=path.name, sha256=digest.sha256, size=digest.size_bytes, width=width, height=height)


def _curated(store: Store, images: ArtifactRef, given: dict[str, str]) -> int:
    recipe = recipe_named("miniature")
    finder, cleaner = DetectorSettings.model_validate(given), CuratorSettings.model_validate(given)
    figures, _ = run_operation(detector.OPERATIONS[0], params.detect(recipe), {"images": images}, store, finder)
    cleaned, _ = run_operation(curator.OPERATIONS[2], params.web(recipe), {"images": figures["images"]}, store, cleaner)
    wanted = params.package(recipe, JobSpec(seed=SEED), "somebody")
    packed, _ = run_operation(curator.OPERATIONS[1], wanted, {"crops": cleaned["crops"]}, store, cleaner)
    return len(ImageSet.load(store, packed["dataset"]))


class Peer:
    """The same steps as imgutils' own calls do them: each function asks its model for one picture."""

    def __init__(self) -> None:
        self._boxes = peers.kind_boxes(local_path("miniature-detector") / "model.onnx")
        self._vectors = peers.vectors(local_path("miniature-ccip") / "model_feat.onnx")
        self._differences = peers.differences(local_path("miniature-ccip") / "model_metrics.onnx")
        self._tags = peers.tags(local_path("miniature-tagger") / "model.onnx")

    def curated(self, paths: Sequence[Path], out: Path) -> int:
        """How many crops were tagged; they and their captions lie in `out`."""
        out.mkdir(exist_ok=True)
        crops: list[PIL.Image.Image] = []
        for path in paths:
            picture = PIL.Image.open(path).convert("RGB")
            if self._is_coloured(picture) and self._boxes(picture, FACE):
                crops += [crop for crop in self._cut(picture, PERSON)[:1] if self._boxes(crop, FACE)]
        vectors = np.concatenate([self._vectors([crop]) for crop in crops])
        same = self._differences(vectors) <= catalogue().ccip("miniature-ccip").threshold
        kept = [crop for crop, alike in zip(crops, same.mean(axis=1), strict=True) if alike >= 0.5]
        staged = [each for crop in kept for each in (crop, *self._cut(crop, HALFBODY)[:1], *self._cut(crop, HEAD)[:1])]
        for number, each in enumerate(staged):
            each.save(out / f"{number}.png")
            (out / f"{number}.txt").write_text(", ".join(map(str, self._tags(each))))
        return len(staged)

    def _cut(self, picture: PIL.Image.Image, kind: int) -> list[PIL.Image.Image]:
        return [picture.crop(corners) for corners in self._boxes(picture, kind)]

    def _is_coloured(self, picture: PIL.Image.Image) -> bool:
        return bool(np.ptp(np.asarray(picture.resize((64, 64)), dtype=np.int16), axis=2).max() > 25)
