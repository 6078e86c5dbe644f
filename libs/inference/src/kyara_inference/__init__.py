"""Models: what there is, how to ask one, and what its answers mean. The client needs no runtime, only a server."""

from kyara_inference.catalogue import Catalogue, ModelMissing, UnknownModel, catalogue, local_path
from kyara_inference.ccip import differences, embed
from kyara_inference.classification import classify
from kyara_inference.client import Inference, InferenceError, InferenceUnavailable
from kyara_inference.detection import KindThreshold, detect
from kyara_inference.naming import digests_of
from kyara_inference.own import base_model
from kyara_inference.tagging import tag

__all__ = [
    "Catalogue",
    "Inference",
    "InferenceError",
    "InferenceUnavailable",
    "KindThreshold",
    "ModelMissing",
    "UnknownModel",
    "base_model",
    "catalogue",
    "classify",
    "detect",
    "differences",
    "digests_of",
    "embed",
    "local_path",
    "tag",
]
