"""`python -m kyara_jobs`: the JobService and a Temporal worker in one process; any number of them may run."""

import asyncio
import sys

from kyara.jobs.v1 import jobs_pb2_grpc
from kyara_artifacts import StoreError, open_store
from kyara_jobs.access import SERVICE, Access
from kyara_jobs.activities import Activities
from kyara_jobs.desk import Desk
from kyara_jobs.engine import Engine
from kyara_jobs.server import JobServicer
from kyara_jobs.settings import JobsSettings
from kyara_jobs.stage_call import StageServers
from kyara_jobs.worker import connected, worker
from kyara_rpc import configure_logs, configure_traces, load_settings, serve_until_stopped
from kyara_rpc.tokens import Verifier


async def serve(settings: JobsSettings) -> None:
    """Serve, and work, until stopped."""
    store = open_store(settings.store)
    access = Access(Verifier(settings.auth_key, settings.auth_audience) if settings.auth_key else None)
    client = await connected(settings.temporal, settings.namespace)
    servicer = JobServicer(Desk(Engine(client, settings.task_queue), store, settings.quotas))
    activities = Activities(store, StageServers(settings.stages, settings.tls), settings.gpu_hour_price)
    async with worker(client, settings.task_queue, activities):
        await serve_until_stopped(
            settings,
            [SERVICE],
            lambda server: jobs_pb2_grpc.add_JobServiceServicer_to_server(servicer, server),
            interceptors=[access],
            services_only=False,  # users have tokens, not certificates
        )


if __name__ == "__main__":
    settings = load_settings(JobsSettings)
    configure_logs("jobs", settings.log_level)
    configure_traces("jobs", settings.traces)
    try:
        asyncio.run(serve(settings))
    except (StoreError, ValueError, RuntimeError) as error:
        sys.exit(f"jobs cannot start: {error}")
