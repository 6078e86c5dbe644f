"""Settings of the crawler."""

import tempfile
from pathlib import Path

from pydantic import Field, SecretStr

from kyara_stage import StageSettings, settings_config


class CrawlerSettings(StageSettings):
    """What the crawler is told."""

    model_config = settings_config("crawler")

    max_file_bytes: int = Field(default=64 << 20, gt=0)
    """Larger files are set aside unread."""
    sites: Path | None = None
    """A list of sites instead of the one that is shipped."""
    logins: dict[str, dict[str, SecretStr]] = Field(default_factory=dict)
    """Logins by the names of sites: KYARA_CRAWLER_LOGINS__DANBOORU__API_KEY, or a file of secrets."""
    contact: str = ""
    """How a site's owner may reach you: part of the User-Agent."""
    replicas: int = Field(default=1, ge=1)
    """Crawlers that share the rates of hosts; each keeps to its share."""
    rates: Path = Path(tempfile.gettempdir()) / "kyara-rates"
    """Where all crawlers of this machine keep whose turn it is."""
    downloads: int = Field(default=8, ge=1)
    """Pictures that are fetched at once, each in its host's turn."""
    within_s: float = Field(default=60.0, gt=0)
    """A host that takes longer to answer is away."""
    longest_wait_s: float = Field(default=120.0, ge=0)
    """A host that asks to be left alone for longer is away."""
    allow_private: bool = False
    """Whether sites and links may be at addresses that are not public."""
