"""`python -m kyara_clusterer`: the clusterer's server."""

from kyara_clusterer.settings import ClustererSettings
from kyara_stage import serve

if __name__ == "__main__":
    serve("clusterer", ClustererSettings, "kyara_clusterer.stage")
