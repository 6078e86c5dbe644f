"""`python -m kyara_crawler`: the crawler's server."""

from kyara_crawler.settings import CrawlerSettings
from kyara_stage import serve

if __name__ == "__main__":
    serve("crawler", CrawlerSettings, "kyara_crawler.stage")
