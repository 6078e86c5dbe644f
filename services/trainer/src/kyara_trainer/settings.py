"""Settings of the trainer."""

import os
from pathlib import Path

from pydantic import Field, model_validator

from kyara_stage import StageSettings, settings_config


class TrainerSettings(StageSettings):
    """Where Ray is, and what a training run gets of it."""

    model_config = settings_config("trainer")

    slots: int = Field(default=8, ge=1)
    """Runs that are followed at once; which of them train is for Ray to say."""
    ray: str = "http://127.0.0.1:8265"
    """Address of the Ray dashboard, whose job API takes the runs. Its token comes from RAY_AUTH_TOKEN(_PATH)."""
    python: str = "python"
    """The interpreter on Ray's nodes that has kyara-trainer."""
    models: Path | None = None
    """Folder of fetched models, on Ray's nodes too; none takes the default place."""
    workers: int = Field(default=1, ge=1)
    """Processes that share every batch of a run. The same number gives the same bytes; another one the same within rounding."""
    num_cpus: float = Field(default=1.0, ge=0)
    """CPUs that Ray sets aside for a worker."""
    num_gpus: float = Field(default=0.0, ge=0)
    """GPUs that Ray sets aside for a worker; whole ones when there are several."""
    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Threads that a worker computes with. The same number gives the same bytes; another one may not."""
    worker_retries: int = Field(default=3, ge=0)
    """How often Ray starts a run again of which a worker died; it goes on from its last checkpoint."""

    @model_validator(mode="after")
    def _each_has_a_card_of_its_own(self) -> "TrainerSettings":
        if self.workers > 1 and self.num_gpus % 1:
            raise ValueError(f"num_gpus is {self.num_gpus} with {self.workers} workers; NCCL lets no two share a card: use 1")
        return self

    @property
    def gpus(self) -> float:
        """Graphics cards that an action holds while it runs."""
        return self.num_gpus * self.workers

    @property
    def models_folder(self) -> Path | None:
        """Where base models of the user's own lie."""
        return self.models
