"""`python -m kyara_keyframer`: the keyframer's server."""

from kyara_keyframer.settings import KeyframerSettings
from kyara_stage import serve

if __name__ == "__main__":
    serve("keyframer", KeyframerSettings, "kyara_keyframer.stage")
