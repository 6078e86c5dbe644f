"""Settings that every stage has."""

from pathlib import Path

from pydantic import Field

from kyara_rpc import ServiceSettings, settings_config

__all__ = ["StageSettings", "settings_config"]


class StageSettings(ServiceSettings):
    """Settings of a stage's server; a stage subclasses it with `model_config = settings_config(room)`."""

    store: str
    """Where artifacts live: file:///folder or s3://bucket/prefix?endpoint=http://host:port."""
    slots: int = Field(default=1, ge=1)
    """Actions that run at once; more are told to come back."""
    grace_s: float = Field(default=120.0, ge=0)
    """Seconds that an action goes on after its last caller is gone."""

    @property
    def gpus(self) -> float:
        """Graphics cards that an action holds while it runs; a stage that takes some says so."""
        return 0.0

    @property
    def models_folder(self) -> Path | None:
        """Where models of the user's own lie, by whose bytes actions are told apart; a stage that takes some says so."""
        return None
