"""What workflows and activities hand each other, beside the protobuf messages themselves."""

from typing import Annotated, Any

from google.protobuf.json_format import MessageToDict, ParseDict
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator

from kyara.jobs.v1.jobs_pb2 import JobSpec
from kyara_jobs.recipe import Recipe

DEFAULT_TENANT = "default"
"""Whose the jobs are where callers show no tokens, and those from before there were tenants."""


def _spec(value: Any) -> JobSpec:
    return value if isinstance(value, JobSpec) else ParseDict(value, JobSpec())


def _spec_json(spec: JobSpec) -> dict[str, Any]:
    return MessageToDict(spec, preserving_proto_field_name=True)


class Order(BaseModel):
    """A job as it was ordered: all that its workflows go by, whatever becomes of recipes meanwhile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    spec: Annotated[JobSpec, PlainValidator(_spec), PlainSerializer(_spec_json)]
    recipe: Recipe
    created_ms: int
    """When the job was created, in milliseconds since 1970; a retry keeps it."""
    names: dict[int, str] = Field(default_factory=dict)
    """What NameClusters gave an earlier run of this job."""
    tenant: str = DEFAULT_TENANT
    """Whose job it is."""


class DatasetFacts(BaseModel):
    """What the workflow has to know of a packaged dataset."""

    images: int
    core_tags: list[str]


class Verdict(BaseModel):
    """What the evaluator found: the best save, its RecScore, and how many of the last saves are no better than earlier ones."""

    best_step: int
    recscore: float
    idle_saves: int = 0


class Recognition(BaseModel):
    """The reference that an index is most like."""

    index: int
    name: str
    score: float
    certain: bool
