"""Settings of the embedder: those of every stage, and where its model answers."""

from pydantic import Field

from kyara_stage import StageSettings, settings_config


class EmbedderSettings(StageSettings):
    """Where to listen, which store to use, and which inference server to ask."""

    model_config = settings_config("embedder")

    inference: str = Field(pattern=r"^.+:\d+$")
    """Address of the inference server (KServe v2 over gRPC), host:port."""
