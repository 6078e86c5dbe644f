"""What a training run is told, as JSON on its way to Ray."""

from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara.trainer.v1.trainer_pb2 import TrainParams


@dataclass(frozen=True)
class Task:
    """What a run is told."""

    store: str
    model_folder: str
    params: TrainParams
    dataset: ArtifactRef
    threads: int
    checkpoint: ArtifactRef | None = None
    """Of the part of the training that was before; none begins it."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for a command line."""
        return {
            "store": self.store,
            "model_folder": self.model_folder,
            "params": json_format.MessageToDict(self.params),
            "dataset": json_format.MessageToDict(self.dataset),
            "threads": self.threads,
            "checkpoint": json_format.MessageToDict(self.checkpoint) if self.checkpoint else None,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Task":
        """What `to_json` wrote."""
        return cls(
            store=value["store"],
            model_folder=value["model_folder"],
            params=json_format.ParseDict(value["params"], TrainParams()),
            dataset=json_format.ParseDict(value["dataset"], ArtifactRef()),
            threads=value["threads"],
            checkpoint=json_format.ParseDict(value["checkpoint"], ArtifactRef()) if value["checkpoint"] else None,
        )
