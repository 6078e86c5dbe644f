"""`python -m kyara_publisher`: the publisher's server."""

from kyara_publisher.settings import PublisherSettings
from kyara_stage import serve

if __name__ == "__main__":
    serve("publisher", PublisherSettings, "kyara_publisher.stage")
