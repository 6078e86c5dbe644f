"""`python -m kyara_curator`: the curator's server."""

from kyara_curator.settings import CuratorSettings
from kyara_stage import serve

if __name__ == "__main__":
    serve("curator", CuratorSettings, "kyara_curator.stage")
