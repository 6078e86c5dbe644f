"""Settings of the keyframer: those of every stage."""

from kyara_stage import StageSettings, settings_config


class KeyframerSettings(StageSettings):
    """Where to listen and which store to use."""

    model_config = settings_config("keyframer")
