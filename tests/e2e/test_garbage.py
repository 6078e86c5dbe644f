"""Garbage goes from the store of a Kyara at work, and no job misses it."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from google.protobuf.json_format import ParseDict

from kyara.stage.v1.stage_pb2 import ArtifactRef, Digest
from kyara_artifacts import blobs_of
from kyara_miniature.pictures import make_pictures
from tests.servers.kyara import Kyara, outputs_of


def test_what_no_job_leads_to_goes_and_what_one_at_work_was_answered_with_stays(kyara: Kyara, tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 9, count=16)
    order = ("character", str(tmp_path / "pictures"), "--name", "hana", "--recipe", "miniature-quick")
    first = kyara.ended(kyara.submit(*order))
    assert first["state"] == "JOB_STATE_SUCCEEDED", first.get("error")
    assert kyara.cli("forget", first["id"]).returncode == 0
    make_old(kyara)
    # Nothing leads to the first job's results any more when the second is answered from them.
    with ThreadPoolExecutor(1) as pool:
        collecting = pool.submit(collect, kyara)
        second = kyara.ended(kyara.submit(*order))
        collecting.result()
    assert second["state"] == "JOB_STATE_SUCCEEDED", second.get("error")
    assert outputs_of(second) == outputs_of(first)
    assert_whole(kyara, second)

    make_old(kyara)
    collect(kyara)
    third = kyara.ended(kyara.submit(*order))
    assert all(stage.get("cached") for stage in third["stages"] if stage["stage"] != "crawler.resolve"), "a job leads to them"
    assert_whole(kyara, third)


def make_old(kyara: Kyara) -> None:
    """As if all of the store had been written long ago."""
    for folder in ("blobs", "records"):
        for path in (kyara.state / "store" / folder).rglob("*"):
            os.utime(path, (0, 0))


def collect(kyara: Kyara) -> None:
    done = kyara.cli("gc", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["phase"] == "done"


def assert_whole(kyara: Kyara, job: dict) -> None:
    """Every blob that a job leads to is there."""
    for stage in job["stages"]:
        for output in stage.get("outputs", {}).values():
            for sha256, size in blobs_of(kyara.store, ParseDict(output, ArtifactRef())).items():
                assert kyara.store.has(Digest(sha256=sha256, size_bytes=size)), (stage["stage"], sha256)
