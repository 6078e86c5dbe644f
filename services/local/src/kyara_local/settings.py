"""Settings of the laptop's Kyara."""

import os
from pathlib import Path

from pydantic import Field

from kyara_rpc import ServiceSettings, settings_config


class LocalSettings(ServiceSettings):
    """What `kyara up` is told."""

    model_config = settings_config("local")

    state: Path = Path(".kyara")
    """Folder of everything that is kept: the store, Temporal's database, logs."""
    base_port: int = Field(default=7400, ge=1024, le=65000)
    """First of some 25 ports on the loopback interface; jobs are served on this one."""
    store: str = ""
    """The store's address; empty means a folder under the state."""
    inference: str = ""
    """host:port of a Triton that has the models; empty means a server of their own on this machine."""
    cpus: int = Field(default=os.cpu_count() or 1, ge=1)
    """Processors that Ray may give to training and previews."""
    gpus: int = Field(default=0, ge=0)
    """Graphics cards that Ray may give to training and previews."""
    private_peers: bool = False
    """Whether fetcher and crawler may talk to private networks, such as this machine's own seeder."""
