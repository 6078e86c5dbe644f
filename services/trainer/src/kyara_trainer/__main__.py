"""Serve the trainer."""

from kyara_stage import serve
from kyara_trainer.settings import TrainerSettings

serve("trainer", TrainerSettings, "kyara_trainer.stage")
