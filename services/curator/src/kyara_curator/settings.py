"""Settings of the curator: those of every stage, and where to find the inference server."""

from pathlib import Path

from pydantic import Field

from kyara_inference.catalogue import default_models_dir
from kyara_stage import StageSettings, settings_config


class CuratorSettings(StageSettings):
    """Where to listen, which store to use, whom to ask for tags."""

    model_config = settings_config("curator")

    inference: str = Field(pattern=r"^.+:\d+$")
    """Address of the inference server (KServe v2 over gRPC), host:port."""
    models: Path = Field(default_factory=default_models_dir)
    """Where `kyara models pull` puts models; the names of a tagger's tags are read there."""
