"""`python -m kyara_embedder`: the embedder's server."""

from kyara_embedder.settings import EmbedderSettings
from kyara_stage import serve

if __name__ == "__main__":
    serve("embedder", EmbedderSettings, "kyara_embedder.stage")
