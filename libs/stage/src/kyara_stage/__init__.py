"""The server every stage runs in. A stage is a plain function over typed things; the rest is here, once."""

from kyara_stage.context import StageContext
from kyara_stage.errors import StageError
from kyara_stage.operation import Inputs, Operation, Outputs
from kyara_stage.server import serve
from kyara_stage.settings import StageSettings, settings_config

__all__ = ["Inputs", "Operation", "Outputs", "StageContext", "StageError", "StageSettings", "serve", "settings_config"]
