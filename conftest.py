"""What holds for all tests.

HF_HUB_DISABLE_XET is set before any test imports huggingface_hub, which reads it once: no xet protocol, as in the publisher.
"""

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

os.environ.setdefault("HF_HUB_DISABLE_XET", "1")


class ByFolder(LoadScopeScheduling):
    """Where several processes test at once, a folder's tests are one's: they share their servers."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0].rpartition("/")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFolder:
    """Which process gets which tests."""
    return ByFolder(config, log)
