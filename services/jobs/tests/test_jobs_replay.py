"""Jobs that run while a new version is rolled out go on: recorded histories replay on today's workflows."""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from kyara_jobs.worker import DATA_CONVERTER, RUNNER, WORKFLOWS

HISTORIES = sorted(Path(__file__).with_name("histories").glob("*.json"))


def replayer() -> Replayer:
    """Replays as the worker runs."""
    return Replayer(workflows=WORKFLOWS, workflow_runner=RUNNER, data_converter=DATA_CONVERTER)


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    await replayer().replay_workflow(WorkflowHistory.from_json(path.stem, path.read_text()))


async def test_a_changed_pipeline_would_be_noticed() -> None:
    text = next(path for path in HISTORIES if path.stem == "pictures").read_text()
    changed = text.replace('"count_images"', '"count_vectors"')
    assert changed != text
    with pytest.raises(NondeterminismError):
        await replayer().replay_workflow(WorkflowHistory.from_json("changed", changed))


def test_every_kind_of_workflow_was_recorded() -> None:
    recorded = "".join(path.read_text() for path in HISTORIES)
    assert all(f'"name":"{workflow.__name__}"' in recorded for workflow in WORKFLOWS)
