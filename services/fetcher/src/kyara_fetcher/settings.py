"""Settings of the fetcher."""

import tempfile
from pathlib import Path

from pydantic import Field

from kyara_stage import StageSettings, settings_config


class FetcherSettings(StageSettings):
    """Where unfinished downloads lie, and which peers may be spoken to."""

    model_config = settings_config("fetcher")

    work_dir: Path = Field(default_factory=lambda: Path(tempfile.gettempdir()) / "kyara-fetcher")
    """Folder of unfinished downloads; it must outlive the process for a download to go on after a crash."""
    peer_listen: str = "0.0.0.0:0"
    """Address that BitTorrent peers may connect to; port 0 takes a free one."""
    dht: bool = True
    """Whether peers are looked for in the distributed hash table too."""
    allow_private_peers: bool = False
    """Whether peers, trackers and web seeds may be on loopback and private addresses."""
