"""A character's name, or pictures of it, in; a scored LoRA out."""

import json
import shutil
from pathlib import Path

import yaml
from google.protobuf.json_format import ParseDict

from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import ImageSet, open_store
from kyara_miniature.pictures import draw_pictures, make_pictures
from services.crawler.tests.booru_sites import BooruSite, Fault, Offer, serving
from tests.servers.kyara import Kyara

TAG = "char_hana_(demo)"


def test_a_name_becomes_a_lora_of_what_sites_have(kyara: Kyara, sites: Path, tmp_path: Path) -> None:
    make_pictures(tmp_path / "drawn", 5, count=16)
    drawn = [path.read_bytes() for path in sorted((tmp_path / "drawn").glob("*.png"))]
    offers = [Offer(number, TAG, data=data) for number, data in enumerate(drawn, 1)]
    with serving(BooruSite("danbooru", offers[:9])) as one, serving(BooruSite("moebooru", offers[6:])) as two:
        one.faults["/data/3.png"] = Fault(body=b"<html>gone</html>")
        listed = [
            {"name": "one", "family": "danbooru", "url": one.url, "per_second": 50},
            {"name": "two", "family": "moebooru", "url": two.url, "per_second": 50},
            {"name": "dead", "family": "e621", "url": "http://127.0.0.1:9", "per_second": 50},
        ]
        sites.write_text(yaml.safe_dump({"sites": listed}))
        order = ("character", "char hana (demo)", "--recipe", "miniature-quick", "--publish", str(tmp_path / "out"))
        job = kyara.ended(kyara.submit(*order))
    assert job["state"] == "JOB_STATE_SUCCEEDED", job.get("error")
    collected = next(stage for stage in job["stages"] if stage["stage"] == "crawler.collect")
    assert collected["rejected"] == "1", "the page in a picture's place"
    digest = collected["outputs"]["sites"]["digest"]["sha256"]
    table = {row["site"]: row for row in json.loads(next((kyara.state / "store").rglob(digest)).read_bytes())}
    assert table["one"]["fetched"] + table["two"]["fetched"] == len(drawn) - 1
    assert table["dead"]["state"] == "failed"
    assert list((tmp_path / "out").rglob("*.safetensors"))


def test_anchors_say_whom_to_keep_though_most_pictures_show_another(kyara: Kyara, tmp_path: Path) -> None:
    mixed, anchors = tmp_path / "mixed", tmp_path / "anchors"
    mixed.mkdir()
    make_pictures(tmp_path / "aya", 8, count=18)
    hana = make_pictures(tmp_path / "hana", 5, count=12)
    draw_pictures(anchors, hana, 77, count=4)
    for path in (*(tmp_path / "aya").iterdir(), *(tmp_path / "hana").iterdir()):
        shutil.copy(path, mixed / f"{path.parent.name}-{path.name}")
    order = ("character", str(mixed), "--name", "Hana", "--anchors", str(anchors), "--recipe", "miniature-quick")
    job = kyara.ended(kyara.submit(*order, "--publish", str(tmp_path / "out")))
    assert job["state"] == "JOB_STATE_SUCCEEDED", job.get("error")
    cleaned = next(stage for stage in job["stages"] if stage["stage"] == "curator.web")
    crops = ImageSet.load(open_store(f"file://{kyara.state}/store"), ParseDict(cleaned["outputs"]["crops"], ArtifactRef()))
    assert {(crop.parent or "").split("-")[0] for crop in crops} == {"hana"}
    assert len(crops) >= 10
