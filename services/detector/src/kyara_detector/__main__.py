"""`python -m kyara_detector`: the detector's server."""

from kyara_detector.settings import DetectorSettings
from kyara_stage import serve

if __name__ == "__main__":
    serve("detector", DetectorSettings, "kyara_detector.stage")
