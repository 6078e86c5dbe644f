"""Serve the evaluator."""

from kyara_evaluator.settings import EvaluatorSettings
from kyara_stage import serve

serve("evaluator", EvaluatorSettings, "kyara_evaluator.stage")
