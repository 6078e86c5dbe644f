"""Settings of the fetcher."""

import tempfile
from pathlib import Path

from pydantic import Field

from kyara_artifacts.s3 import AMAZON, REGION
from kyara_stage import StageSettings, settings_config


class FetcherSettings(StageSettings):
    """Where unfinished downloads lie, and who outside may be spoken to. Keys for s3:// sources are those of the store."""

    model_config = settings_config("fetcher")

    work_dir: Path = Field(default_factory=lambda: Path(tempfile.gettempdir()) / "kyara-fetcher")
    """Folder of unfinished downloads; it must outlive the process for a download to go on after a crash."""
    keep_unfinished_days: float = Field(default=7.0, ge=0)
    """Days after which an unfinished download that nothing has touched is removed, when another one starts."""
    peer_listen: str = "0.0.0.0:0"
    """Address that BitTorrent peers may connect to; port 0 takes a free one."""
    dht: bool = True
    """Whether peers are looked for in the distributed hash table too."""
    seed_s: float = Field(default=0.0, ge=0)
    """Seconds that a complete torrent is shared with others, while its job waits; 0 uploads nothing once it is complete."""
    allow_private_peers: bool = False
    """Whether peers, trackers, web seeds and links to .torrent files may be on loopback and private addresses."""
    link_timeout_s: float = Field(default=60.0, gt=0)
    """Seconds within which a link must have given its .torrent file."""
    s3_endpoint: str = Field(default=AMAZON, pattern=r"^https?://[^/]+$")
    """S3 server of s3:// sources."""
    s3_region: str = REGION
    """Region of their buckets."""
