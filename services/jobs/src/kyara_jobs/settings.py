"""Settings of the jobs server."""

from pydantic import Field

from kyara_rpc import ServiceSettings, settings_config


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
    stages: dict[str, str] = Field(default_factory=dict)
    """Address of each room's stage server, for example keyframer: host:port."""
