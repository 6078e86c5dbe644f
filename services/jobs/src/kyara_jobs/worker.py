"""The Temporal side: how payloads are written, how workflows are isolated, the worker itself."""

import asyncio
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from kyara_jobs.activities import Activities
from kyara_jobs.character import CharacterToLora
from kyara_jobs.dataset import DatasetToLora
from kyara_jobs.evaluation import LorasToScores
from kyara_jobs.pictures import PicturesToLora
from kyara_jobs.video import FiguresOfEpisode, VideoToLoras
from kyara_rpc import traces_are_sent

WORKFLOWS = (VideoToLoras, PicturesToLora, DatasetToLora, LorasToScores, FiguresOfEpisode, CharacterToLora)
DATA_CONVERTER = pydantic_data_converter
# Messages, recipes and activities' signatures are the same inside and outside; only the workflows' own code is isolated.
RUNNER = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        "google", "grpc", "grpc_status", "kyara", "kyara_artifacts", "kyara_rpc", "opentelemetry", "pydantic", "pydantic_core",
        "yaml", "structlog", "kyara_jobs.activities", "kyara_jobs.order", "kyara_jobs.params", "kyara_jobs.recipe",
        "kyara_jobs.sizes", "kyara_jobs.steps",
    )
)  # fmt: skip
STAGES_AT_ONCE = 500
"""Stage calls that one process holds open; each is an idle stream."""

log = structlog.get_logger()


async def connected(address: str, namespace: str) -> Client:
    """A client of the engine, once it is there."""
    while True:
        try:
            # Its workers trace too. Traces travel in headers, which replay does not look at.
            interceptors = [TracingInterceptor()] if traces_are_sent() else []
            return await Client.connect(address, namespace=namespace, data_converter=DATA_CONVERTER, interceptors=interceptors)
        except RuntimeError as error:
            log.warning("waiting for Temporal", address=address, error=str(error))
            await asyncio.sleep(1)


def worker(client: Client, task_queue: str, activities: Activities) -> Worker:
    """A worker for all of this room's workflows and activities."""
    return Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=[
            activities.run_stage,
            activities.count_images,
            activities.merge_indexes,
            activities.read_likenesses,
            activities.describe_dataset,
            activities.read_verdict,
            activities.keep_record,
        ],
        workflow_runner=RUNNER,
        max_concurrent_activities=STAGES_AT_ONCE,
        # Progress is as fresh as this, and a dead worker is still told from a busy one by the heartbeat timeout.
        max_heartbeat_throttle_interval=timedelta(seconds=1),
        graceful_shutdown_timeout=timedelta(seconds=2),
    )
