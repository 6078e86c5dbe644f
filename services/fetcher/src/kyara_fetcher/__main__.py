"""`python -m kyara_fetcher`: the fetcher's server."""

from kyara_fetcher.settings import FetcherSettings
from kyara_stage import serve

if __name__ == "__main__":
    serve("fetcher", FetcherSettings, "kyara_fetcher.stage")
