"""The JobService's gRPC face: messages in and out; what they mean is the desk's business."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog
from temporalio.client import WorkflowQueryFailedError
from temporalio.service import RPCError

from kyara.jobs.v1 import jobs_pb2 as pb
from kyara.jobs.v1 import jobs_pb2_grpc
from kyara_artifacts import StoreError, StoreFull
from kyara_jobs.access import caller
from kyara_jobs.desk import Desk
from kyara_jobs.orders import Refused, recipe_of
from kyara_jobs.plans import described
from kyara_jobs.recipe import known_recipes, models_of

Context = grpc.aio.ServicerContext[Any, Any]

log = structlog.get_logger()


@asynccontextmanager
async def answering(context: Context) -> AsyncIterator[None]:
    """Turns what goes wrong into a gRPC status that says what to do."""
    try:
        yield
    except Refused as error:
        await context.abort(error.code, str(error))
    except StoreFull as error:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
    except StoreError as error:
        await context.abort(grpc.StatusCode.UNAVAILABLE, f"the store does not answer: {error}")
    except (RPCError, WorkflowQueryFailedError) as error:
        log.warning("the engine does not answer", error=str(error))
        await context.abort(grpc.StatusCode.UNAVAILABLE, f"the workflow engine does not answer, try again in a moment: {error}")


class JobServicer(jobs_pb2_grpc.JobServiceServicer):
    """Jobs: create, get, list, watch, cancel, retry, name, approve, forget; the recipes; and the garbage."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def CreateJob(self, request: pb.CreateJobRequest, context: Context) -> pb.CreateJobResponse:
        """Start a job, once for each request id."""
        async with answering(context):
            return pb.CreateJobResponse(job=await self._desk.create(caller(), request.request_id, request.spec))
        raise AssertionError("abort raises")

    async def GetJob(self, request: pb.GetJobRequest, context: Context) -> pb.GetJobResponse:
        """A job as it stands."""
        async with answering(context):
            return pb.GetJobResponse(job=await self._desk.get(caller(), request.id))
        raise AssertionError("abort raises")

    async def ListJobs(self, request: pb.ListJobsRequest, context: Context) -> pb.ListJobsResponse:
        """Jobs, newest first."""
        async with answering(context):
            jobs, more = await self._desk.page(caller(), request.page_size, request.page_token)
            return pb.ListJobsResponse(jobs=jobs, next_page_token=more)
        raise AssertionError("abort raises")

    async def WatchJob(self, request: pb.WatchJobRequest, context: Context) -> AsyncIterator[pb.WatchJobResponse]:
        """A job now and whenever it changes, until it ends."""
        async with answering(context):
            async for job in self._desk.watch(caller(), request.id):
                yield pb.WatchJobResponse(job=job)

    async def CancelJob(self, request: pb.CancelJobRequest, context: Context) -> pb.CancelJobResponse:
        """Stop a job."""
        async with answering(context):
            return pb.CancelJobResponse(job=await self._desk.cancel(caller(), request.id))
        raise AssertionError("abort raises")

    async def RetryJob(self, request: pb.RetryJobRequest, context: Context) -> pb.RetryJobResponse:
        """Start a failed or cancelled job again."""
        async with answering(context):
            return pb.RetryJobResponse(job=await self._desk.retry(caller(), request.id))
        raise AssertionError("abort raises")

    async def NameClusters(self, request: pb.NameClustersRequest, context: Context) -> pb.NameClustersResponse:
        """Name the characters of a job that waits."""
        async with answering(context):
            return pb.NameClustersResponse(job=await self._desk.name(caller(), request.id, request.names))
        raise AssertionError("abort raises")

    async def ApproveLoras(self, request: pb.ApproveLorasRequest, context: Context) -> pb.ApproveLorasResponse:
        """Let LoRAs that wait be published, or not."""
        async with answering(context):
            job = await self._desk.approve(caller(), request.id, request.characters, request.refuse)
            return pb.ApproveLorasResponse(job=job)
        raise AssertionError("abort raises")

    async def ForgetJob(self, request: pb.ForgetJobRequest, context: Context) -> pb.ForgetJobResponse:
        """Remove the record of a job that has ended."""
        async with answering(context):
            await self._desk.forget(caller(), request.id)
            return pb.ForgetJobResponse()
        raise AssertionError("abort raises")

    async def CollectGarbage(
        self, request: pb.CollectGarbageRequest, context: Context
    ) -> AsyncIterator[pb.CollectGarbageResponse]:
        """Remove from the store what no job leads to."""
        async with answering(context):
            async for done in self._desk.collect_garbage(request.grace_days, request.forget_after_days, request.dry_run):
                yield done

    async def ListRecipes(self, request: pb.ListRecipesRequest, context: Context) -> pb.ListRecipesResponse:
        """The recipes that a job can name."""
        shown = [
            pb.ListRecipesResponse.Recipe(name=recipe.name, description=recipe.description, models=models_of(recipe))
            for recipe in known_recipes().values()
        ]
        return pb.ListRecipesResponse(recipes=shown)

    async def DescribeRecipe(self, request: pb.DescribeRecipeRequest, context: Context) -> pb.DescribeRecipeResponse:
        """A recipe whole, and what it makes of datasets of some sizes."""
        async with answering(context):
            recipe = recipe_of(request)
            return described(recipe, request.images)
        raise AssertionError("abort raises")
