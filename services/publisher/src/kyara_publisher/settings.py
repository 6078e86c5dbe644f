"""Settings of the publisher."""

from pydantic import SecretStr

from kyara_stage import StageContext, StageSettings, settings_config


class PublisherSettings(StageSettings):
    """What the publisher is told."""

    model_config = settings_config("publisher")

    hub: str = "https://huggingface.co"
    """Hub that repositories go to."""
    hub_token: SecretStr = SecretStr("")
    """Token that may write there; give it by the environment."""


Context = StageContext[PublisherSettings]
