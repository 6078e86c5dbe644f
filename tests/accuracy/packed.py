"""A folder of pictures of one character, collected, cleaned, cut, captioned and packed as a job does it."""

from pathlib import Path

from kyara.jobs.v1.jobs_pb2 import JobSpec
from kyara_artifacts import ImageSet, open_store
from kyara_crawler import stage as crawler
from kyara_crawler.settings import CrawlerSettings
from kyara_curator import stage as curator
from kyara_curator.settings import CuratorSettings
from kyara_detector import stage as detector
from kyara_detector.settings import DetectorSettings
from kyara_jobs import params
from kyara_jobs.recipe import Recipe
from kyara_stage.testing import run_operation


def packed(folder: Path, recipe: Recipe, name: str, seed: int, given: dict[str, str]) -> ImageSet:
    """The dataset that `recipe` trains on. `given` are the settings that stages share: `store`, `listen`, `inference`."""
    store = open_store(given["store"])
    crawls = CrawlerSettings.model_validate({key: given[key] for key in ("store", "listen")})
    looks = {key: given[key] for key in ("store", "listen", "inference")}
    finds, curates = DetectorSettings.model_validate(looks), CuratorSettings.model_validate(looks)
    pinned, _ = run_operation(crawler.OPERATIONS[0], params.resolve_folder(str(folder.resolve())), {}, store, crawls)
    images, _ = run_operation(crawler.OPERATIONS[1], params.collect(recipe), pinned, store, crawls)
    figures, _ = run_operation(detector.OPERATIONS[0], params.detect(recipe), {"images": images["images"]}, store, finds)
    cleaned, _ = run_operation(curator.OPERATIONS[2], params.web(recipe), {"images": figures["images"]}, store, curates)
    wanted = params.package(recipe, JobSpec(seed=seed), name)
    outputs, _ = run_operation(curator.OPERATIONS[1], wanted, {"crops": cleaned["crops"]}, store, curates)
    return ImageSet.load(store, outputs["dataset"])
