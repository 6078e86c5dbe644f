"""One Kyara and one episode for all end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kyara_miniature.episode import make_episode
from tests.servers.kyara import Kyara, kyara_up


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the sites that the crawler knows; it is read anew for each job."""
    return tmp_path_factory.mktemp("sites") / "sites.yaml"


@pytest.fixture(scope="session")
def kyara(tmp_path_factory: pytest.TempPathFactory, sites: Path) -> Iterator[Kyara]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KYARA_CRAWLER_SITES", str(sites))
        with kyara_up(tmp_path_factory.mktemp("kyara")) as running:
            yield running


@pytest.fixture(scope="session")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("episode") / "episode.mkv"
    make_episode(path, 11, seconds=40, main=2, width=960, height=540)
    return path
