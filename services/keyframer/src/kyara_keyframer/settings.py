"""Settings of the keyframer."""

import os

from pydantic import Field

from kyara_stage import StageSettings, settings_config


class KeyframerSettings(StageSettings):
    """Where to listen, which store to use, and how wide to work."""

    model_config = settings_config("keyframer")

    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Segments of a video that are decoded at once."""
