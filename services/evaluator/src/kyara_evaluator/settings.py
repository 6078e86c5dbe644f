"""Settings of the evaluator."""

import os
from pathlib import Path

from pydantic import Field

from kyara_stage import StageSettings, settings_config


class EvaluatorSettings(StageSettings):
    """Where Ray and the inference server are, and what the preview model gets of Ray."""

    model_config = settings_config("evaluator")

    inference: str = Field(pattern=r"^.+:\d+$")
    """Address of the inference server (KServe v2 over gRPC), host:port."""
    slots: int = Field(default=8, ge=1)
    """Evaluations that are followed at once; the preview model's queue is Ray Serve's."""
    ray: str = "http://127.0.0.1:8265"
    """Address of the Ray dashboard, whose job API takes the runs. Its token comes from RAY_AUTH_TOKEN(_PATH)."""
    python: str = "python"
    """The interpreter on Ray's nodes that has kyara-evaluator."""
    models: Path | None = None
    """Folder of fetched models, on Ray's nodes too; none takes the default place."""
    num_cpus: float = Field(default=0.0, ge=0)
    """CPUs that Ray sets aside for a replica of the preview model; 0 so that it never waits for training to end."""
    num_gpus: float = Field(default=0.0, ge=0)
    """GPUs that Ray sets aside for a replica."""
    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Threads that a replica draws with. The same number gives the same pictures; another one may not."""
    max_replicas: int = Field(default=1, ge=1)
    """Most replicas of the preview model; their number follows its queue."""
    idle_s: float = Field(default=120.0, ge=0)
    """Seconds without work after which the preview model leaves memory."""

    @property
    def gpus(self) -> float:
        """Graphics cards that an action holds while it runs."""
        return self.num_gpus

    @property
    def models_folder(self) -> Path | None:
        """Where base models of the user's own lie."""
        return self.models
