"""A whole job is one trace: from the call that created it to Ray's workers."""

import time
from pathlib import Path

import pytest

from kyara_miniature.pictures import make_pictures
from tests.servers.kyara import kyara_up
from tests.servers.otlp import collector

STAGES = {"crawler.resolve", "crawler.collect", "detector", "curator.package", "trainer", "evaluator", "publisher"}
SETTLED_S = 8
"""Longer than a process keeps spans before it sends them."""


def test_a_job_is_one_trace_down_to_ray(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder: Path = tmp_path_factory.mktemp("traced")
    make_pictures(folder / "pictures", 5, count=16)
    with collector() as spans:
        monkeypatch.setenv("KYARA_LOCAL_TRACES", spans.address)
        with kyara_up(folder / "kyara") as kyara:
            chosen = ("--name", "hana", "--recipe", "miniature-quick", "--publish", str(folder / "out"))
            job = kyara.ended(kyara.submit("character", str(folder / "pictures"), *chosen))
            time.sleep(SETTLED_S)
    assert job["state"] == "JOB_STATE_SUCCEEDED", job.get("error")
    created = next(span for span in spans.spans if span.name.endswith("CreateJob"))
    tree = spans.tree(created.trace)
    print(tree)
    mine = {span.id: span for span in spans.spans if span.trace == created.trace}
    names = {span.name for span in mine.values()}
    assert {stage["stage"] for stage in job["stages"]} <= names, tree
    assert names | {name.partition(".")[0] for name in names} >= STAGES, tree
    assert all(span.parent in mine for span in mine.values() if span is not created), tree
    for room in ("trainer", "evaluator"):
        (run,) = (span for span in mine.values() if span.name == f"{room} on Ray")
        assert mine[run.parent].name == room
