"""Record the histories that test_jobs_replay replays: `python -m services.jobs.tests.record_histories`.

Only scenarios without a history are recorded: the files as they are stand for the jobs that run somewhere while a new
version is rolled out. Delete a scenario's files to record it anew, together with a change that is meant to break those.
"""

import asyncio
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.rpc import code_pb2
from temporalio.client import Client

from kyara.jobs.v1.jobs_pb2 import (
    ApproveLorasRequest,
    CancelJobRequest,
    CharacterJob,
    DatasetJob,
    EvaluationJob,
    JobSpec,
    JobState,
    NameClustersRequest,
    Reference,
)
from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara.publisher.v1.publisher_pb2 import Target
from kyara_artifacts import open_store
from services.jobs.tests.jobs_world import Jobs, Temporal, create, until, until_ended, video_spec
from services.jobs.tests.scripted_stages import Call, ScriptedStages, WorkFailed

HISTORIES = Path(__file__).with_name("histories")


def named(jobs: JobServiceStub, _: ScriptedStages) -> str:
    """Three episodes, one of them bad; one character named."""
    job_id = create(jobs, video_spec("named", "season?episodes=3&bad=1", wait_for_names=True))
    until(jobs, job_id, [JobState.JOB_STATE_WAITING])
    jobs.NameClusters(NameClustersRequest(id=job_id, names={1: "Rin"}))
    return job_id


def merged(jobs: JobServiceStub, _: ScriptedStages) -> str:
    """Two indexes under one name, the third dropped."""
    job_id = create(jobs, video_spec("merged", wait_for_names=True))
    until(jobs, job_id, [JobState.JOB_STATE_WAITING])
    jobs.NameClusters(NameClustersRequest(id=job_id, names={0: "Rin", 1: "Rin", 2: "drop"}))
    return job_id


def recognised(jobs: JobServiceStub, _: ScriptedStages) -> str:
    """One index recognised by a reference."""
    return create(jobs, video_spec("recognised", references=[Reference(name="Rin", folder="/rin")]))


def pictures(jobs: JobServiceStub, _: ScriptedStages) -> str:
    """A folder of pictures."""
    return create(jobs, JobSpec(recipe="v1.4", character=CharacterJob(name="Aya", folder="/pictures")))


def web(jobs: JobServiceStub, _: ScriptedStages) -> str:
    """A folder of pictures, cleaned as a web crawl is; `pictures` was recorded before that."""
    return create(jobs, JobSpec(recipe="v1.4", salt="web", character=CharacterJob(name="Aya", folder="/pictures")))


def anchored(jobs: JobServiceStub, _: ScriptedStages) -> str:
    """A folder of pictures, and some that surely show the character."""
    aya = CharacterJob(name="Aya", folder="/pictures", anchors="/sure")
    return create(jobs, JobSpec(recipe="v1.4", salt="anchored", character=aya))


def dataset(jobs: JobServiceStub, _: ScriptedStages) -> str:
    """A package that was made before, by a recipe of the user's own."""
    made = DatasetJob(name="Aya", folder="/made/dataset-raw.zip")
    return create(jobs, JobSpec(recipe="mine", recipe_yaml="extends: v1.6", salt="dataset", dataset=made))


def published(jobs: JobServiceStub, _: ScriptedStages) -> str:
    """A folder of pictures, the dataset made of it in a repository of its own."""
    shown = Target(folder="/published")
    aya = CharacterJob(name="Aya", folder="/pictures")
    return create(jobs, JobSpec(recipe="v1.4", salt="published", character=aya, publish=shown))


def approved(jobs: JobServiceStub, _: ScriptedStages) -> str:
    """Two LoRAs that wait: one is published, one is not."""
    spec = video_spec("approved", max_characters=2)
    spec.approve = True
    job_id = create(jobs, spec)
    until(jobs, job_id, [JobState.JOB_STATE_WAITING])
    jobs.ApproveLoras(ApproveLorasRequest(id=job_id, characters=[1]))
    jobs.ApproveLoras(ApproveLorasRequest(id=job_id, refuse=True))
    return job_id


def evaluated(jobs: JobServiceStub, _: ScriptedStages) -> str:
    """A LoRA from anywhere."""
    wanted = EvaluationJob(name="Aya", lora="/loras/aya.safetensors", folder="/pictures")
    return create(jobs, JobSpec(recipe="v1.4", salt="evaluated", evaluation=wanted))


def cancelled(jobs: JobServiceStub, stages: ScriptedStages) -> str:
    """Cancelled while both characters train."""
    gate = stages.hold("cancelled", "trainer")
    job_id = create(jobs, video_spec("cancelled", "season?episodes=2", max_characters=0))
    gate.reached.wait(30)
    jobs.CancelJob(CancelJobRequest(id=job_id))
    return job_id


def failed(jobs: JobServiceStub, stages: ScriptedStages) -> str:
    """A stage that is away once, then cannot work."""

    async def fail(call: Call) -> None:
        raise WorkFailed(code_pb2.UNAVAILABLE if call.number == 1 else code_pb2.FAILED_PRECONDITION, "too dark")

    stages.in_the_work("failed", "clusterer", fail)
    return create(jobs, video_spec("failed", "season?episodes=2"))


SCENARIOS: tuple[Callable[[JobServiceStub, ScriptedStages], str], ...] = (
    named,
    merged,
    recognised,
    pictures,
    web,
    anchored,
    dataset,
    published,
    approved,
    evaluated,
    cancelled,
    failed,
)


async def main() -> None:
    """Run every scenario that has no history yet, and keep those of its workflows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store_url = f"file://{folder}/store"
        stages = ScriptedStages(open_store(store_url))
        stages.start()
        temporal = Temporal(folder)
        temporal.start()
        process = Jobs(folder, temporal.address, store_url, stages.address, "recorded")
        process.start()
        try:
            jobs = process.client()
            client = await Client.connect(temporal.address)
            for scenario in SCENARIOS:
                if (HISTORIES / f"{scenario.__name__}.json").exists():
                    continue
                job_id = scenario(jobs, stages)
                until_ended(jobs, job_id)
                await keep(client, job_id, scenario.__name__)
        finally:
            process.stop()
            temporal.stop()
            stages.stop()


async def keep(client: Client, job_id: str, scenario: str) -> None:
    """Write the histories of a job's workflow and of its parts."""
    while (await client.get_workflow_handle(job_id).describe()).close_time is None:
        await asyncio.sleep(0.1)
    history = await client.get_workflow_handle(job_id).fetch_history()
    parts = [
        event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id
        for event in history.events
        if event.HasField("child_workflow_execution_started_event_attributes")
    ]
    for workflow_id in (job_id, *parts):
        history = await client.get_workflow_handle(workflow_id).fetch_history()
        text = json.dumps(without_traces(json.loads(history.to_json())), separators=(",", ":"))
        name = workflow_id.replace(job_id, scenario).replace("/", "-")
        (HISTORIES / f"{name}.json").write_text(text + "\n")


def without_traces(value: Any) -> Any:
    """A history without what tells of the machine that it was recorded on."""
    if isinstance(value, dict):
        return {key: without_traces(each) for key, each in value.items() if key not in ("identity", "stackTrace")}
    return [without_traces(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    asyncio.run(main())
