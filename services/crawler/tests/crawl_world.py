"""Sites that serve, and a crawler that knows them."""

from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import yaml

from kyara.crawler.v1.crawler_pb2 import CollectParams, ResolveParams, WebSource
from kyara_artifacts import ImageSet, Store, get_json, open_store
from kyara_crawler.settings import CrawlerSettings
from kyara_crawler.stage import OPERATIONS
from kyara_stage.testing import run_operation
from services.crawler.tests.booru_sites import BooruSite, Offer, serving

Served = TypeVar("Served", bound=BooruSite)
RESOLVE, COLLECT = OPERATIONS
NAME = "char miku"
TAG = "char_miku"


class Crawled:
    """What came of a crawl."""

    def __init__(self, store: Store, images: ImageSet, rejected: dict[str, str], sites: list[dict]) -> None:
        self.images, self.rejected = images, rejected
        self.sites = {row["site"]: row for row in sites}
        self.names = [image.name for image in images]


class World:
    """Sites, and a crawler that knows them and no others."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self.sites: dict[str, BooruSite] = {}
        self.more: dict[str, dict] = {}
        self.settings: dict = {"downloads": 4, "within_s": 5, "longest_wait_s": 5, "allow_private": True}

    def site(self, name: str, family: str, offers: list[Offer], **more: object) -> BooruSite:
        return self.add(name, BooruSite(family, offers, more.pop("aliases", None)), **more)  # type: ignore[arg-type]

    def add(self, name: str, site: Served, **more: object) -> Served:
        self.sites[name], self.more[name] = self._stack.enter_context(serving(site)), more
        return site

    @property
    def store(self) -> Store:
        return open_store(f"file://{self._folder}/store")

    def crawler(self) -> CrawlerSettings:
        listed = [
            {"name": name, "family": site.family, "url": site.url, "per_second": 0, **self.more[name]}
            for name, site in self.sites.items()
        ]
        (self._folder / "sites.yaml").write_text(yaml.safe_dump({"sites": listed}))
        place = {"store": f"file://{self._folder}/store", "sites": self._folder / "sites.yaml", "rates": self._folder / "rates"}
        return CrawlerSettings(**place, **self.settings)  # type: ignore[arg-type]

    def crawl(self, name: str = NAME, **asked: object) -> Crawled:
        pinned, _ = run_operation(
            RESOLVE, ResolveParams(web=WebSource(name=name, **asked)), {}, self.store, self.crawler()  # type: ignore[arg-type]
        )  # fmt: skip
        outputs, rejected = run_operation(COLLECT, CollectParams(), pinned, self.store, self.crawler())
        images = ImageSet.load(self.store, outputs["images"])
        table = get_json(self.store, outputs["sites"])
        return Crawled(self.store, images, {each["item"]: each["reason"] for each in rejected}, table)


def offers(*numbers: int, tags: str = TAG, **more: object) -> list[Offer]:
    return [Offer(number, tags, **more) for number in numbers]  # type: ignore[arg-type]
