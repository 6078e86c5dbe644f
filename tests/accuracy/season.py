"""Episodes of known truth, and what the rooms from the keyframer to the clusterer make of them."""

from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from kyara.stage.v1.stage_pb2 import Action, ArtifactRef, Result
from kyara_artifacts import ImageSet, Store, open_store, ref
from kyara_clusterer import stage as clusterer
from kyara_clusterer.settings import ClustererSettings
from kyara_curator import stage as curator
from kyara_curator.settings import CuratorSettings
from kyara_detector import stage as detector
from kyara_detector.settings import DetectorSettings
from kyara_embedder import stage as embedder
from kyara_embedder.settings import EmbedderSettings
from kyara_jobs import params
from kyara_jobs.recipe import Recipe
from kyara_keyframer import stage as keyframer
from kyara_keyframer.settings import KeyframerSettings
from kyara_miniature.episode import EpisodeTruth, make_episode
from kyara_stage import Operation, StageSettings
from kyara_stage.operation import action_sha256
from kyara_stage.results import keep_result, kept_result
from kyara_stage.testing import run_operation


@dataclass(frozen=True)
class Seen:
    """An episode, and what each room gave for it."""

    seed: int
    truth: EpisodeTruth
    frames: ImageSet
    figures: ImageSet
    crops: ImageSet
    rejected: ArtifactRef
    """What cleaning set aside."""
    vectors: ArtifactRef
    clusters: ImageSet
    summary: ArtifactRef


class Rooms:
    """The rooms of one recipe, called one after the other; what was worked out before is taken from the store."""

    def __init__(self, recipe: Recipe, folder: Path, inference: str) -> None:
        self.recipe = recipe
        self.folder = folder
        self.inference = inference
        self._url = f"file://{(folder / 'store').resolve()}"
        self.store: Store = open_store(self._url)

    def see(self, seed: int, *, seconds: float, main: int, look_alikes: bool) -> Seen:
        """Draw the episode of `seed`, and send it through all rooms."""
        path = self.folder / f"episode-{seed}.mkv"
        if path.with_suffix(".truth.json").exists():
            truth = EpisodeTruth.load(path.with_suffix(".truth.json"))
        else:
            truth = make_episode(path, seed, seconds=seconds, main=main, look_alikes=look_alikes)
        video = ref("video", self.store.put(path), "video/x-matroska")
        frames = self.run(keyframer.OPERATIONS[0], KeyframerSettings, params.keyframes(self.recipe), video=video)["frames"]
        figures = self.run(detector.OPERATIONS[0], DetectorSettings, params.detect(self.recipe), images=frames)["images"]
        cleaned = self.run(curator.OPERATIONS[0], CuratorSettings, params.clean(self.recipe), frames_000=figures)
        crops = cleaned["crops"]
        vectors = self.run(embedder.OPERATIONS[0], EmbedderSettings, params.embed(self.recipe), images=crops)["vectors"]
        cast = self.run(clusterer.OPERATIONS[0], ClustererSettings, params.cluster(self.recipe), crops=crops, vectors=vectors)
        sets = [ImageSet.load(self.store, each) for each in (frames, figures, crops, cast["clusters"])]
        return Seen(seed, truth, sets[0], sets[1], sets[2], cleaned["rejected"], vectors, sets[3], cast["summary"])

    def run(
        self, operation: Operation, settings_class: type[StageSettings], wanted: Message, **inputs: ArtifactRef
    ) -> dict[str, ArtifactRef]:
        """The outputs of one operation."""
        asked = Action(stage=operation.name, inputs=inputs)
        asked.params.Pack(wanted)
        action = operation.identified(asked)
        sha256 = action_sha256(action)
        if kept := kept_result(self.store, sha256):
            return dict(kept.outputs)
        given = {"store": self._url, "listen": "127.0.0.1:0"}
        if "inference" in settings_class.model_fields:
            given["inference"] = self.inference
        outputs, _ = run_operation(operation, wanted, inputs, self.store, settings_class.model_validate(given))
        keep_result(self.store, sha256, action, Result(outputs=outputs))
        return outputs
