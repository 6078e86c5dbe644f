"""The demo's pictures, fetched from the store to where people look."""

from pathlib import Path

from kyara.jobs.v1.jobs_pb2 import Job
from kyara_artifacts import Store

WANTED = {
    ("clusterer", "sheet"): "characters.png",
    ("curator.package", "sheet"): "dataset.png",
    ("evaluator", "sheet"): "previews.png",
    ("evaluator", "curve"): "scores.png",
    ("evaluator", "report"): "report.html",
}


def write_pictures(store: Store, job: Job, out: Path) -> list[Path]:
    """Write the contact sheets, previews, curves and reports to `out`, those of a character in a folder of its own."""
    written: list[Path] = []
    for stage in job.stages:
        for (name, output), file in WANTED.items():
            if stage.stage == name and output in stage.outputs:
                path = out / (Path(stage.subject).name if stage.subject else "") / file
                path.parent.mkdir(parents=True, exist_ok=True)
                store.fetch(stage.outputs[output].digest, path)
                written.append(path)
    return written
