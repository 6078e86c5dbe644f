"""Settings of the jobs server."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from kyara_jobs.quotas import Quota
from kyara_rpc import ServiceSettings, is_loopback, settings_config


class JobsSettings(ServiceSettings):
    """What the jobs server is told."""

    model_config = settings_config("jobs")

    temporal: str = Field(default="127.0.0.1:7233", pattern=r"^.+:\d+$")
    """Address of Temporal's frontend, host:port."""
    namespace: str = "default"
    """Temporal namespace."""
    task_queue: str = "kyara-jobs"
    """Temporal task queue that workers of all replicas share."""
    store: str
    """Where artifacts and records are kept: file:///folder or s3://bucket/prefix?endpoint=http://host:port."""
    gpu_hour_price: float = Field(default=0.0, ge=0)
    """Price of a graphics card's hour, for the cost of a character in the metrics."""
    stages: dict[str, str] = Field(default_factory=dict)
    """Address of each room's stage server, for example keyframer: host:port."""
    auth_key: Path | None = None
    """File with the key that checks callers' tokens: a PEM public key (Ed25519, P-256, RSA), or a secret of 32 bytes or more."""
    auth_audience: str = "kyara"
    """The audience that a token must name, so that one made for another system is not taken here."""
    allow_anonymous: bool = False
    """Whether callers without a token are let in on an address that others reach: something in front keeps strangers out."""
    quotas: dict[str, Quota] = Field(default_factory=dict)
    """What each tenant may use, by its name; `*` is for those that are not named."""

    @model_validator(mode="after")
    def _not_open_to_everybody(self) -> Self:
        if not (self.auth_key or self.allow_anonymous or is_loopback(self.listen)):
            raise ValueError(
                f"{self.listen} is reached by others, and no auth_key says whom to let in: set auth_key, "
                "listen on 127.0.0.1, or set allow_anonymous when something else keeps strangers out"
            )
        return self
