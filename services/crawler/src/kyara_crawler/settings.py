"""Settings of the crawler."""

from pydantic import Field

from kyara_stage import StageSettings, settings_config


class CrawlerSettings(StageSettings):
    """What the crawler is told."""

    model_config = settings_config("crawler")

    max_file_bytes: int = Field(default=64 << 20, gt=0)
    """Larger files are set aside unread."""
