"""From what a user asks for to an order that can be carried out, or a sentence that says what to change."""

import hashlib
import hmac
from collections.abc import Sequence

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from pydantic import ValidationError

from kyara.jobs.v1.jobs_pb2 import DescribeRecipeRequest, Job, JobSpec, JobState, Reference
from kyara_jobs.names import flaw, is_dropped
from kyara_jobs.order import DEFAULT_TENANT, Order
from kyara_jobs.own_recipe import BadRecipe, own_recipe
from kyara_jobs.params import slug
from kyara_jobs.recipe import Recipe, UnknownRecipe, recipe_named
from kyara_jobs.records import tenant_of

LONGEST_REQUEST_ID = 200


class Refused(Exception):
    """A call cannot be answered; carries the gRPC code and the sentence for the user."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def invalid(message: str) -> Refused:
    """The request itself is wrong."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, message)


def job_id_of(tenant: str, request_id: str) -> str:
    """The id of the job that `request_id` of a tenant asks for: the same id gives the same job. Raises Refused."""
    if not 0 < len(request_id) <= LONGEST_REQUEST_ID:
        raise invalid(f"request_id: give an id of your own, such as a UUID, of 1 to {LONGEST_REQUEST_ID} characters")
    if tenant == DEFAULT_TENANT:
        return hashlib.sha256(request_id.encode()).hexdigest()[:16]
    # Another tenant's request id, even the same one, is another job.
    return hmac.new(tenant.encode(), request_id.encode(), "sha256").hexdigest()[:16]


def checked(spec: JobSpec) -> JobSpec:
    """`spec` with its defaults filled in. Raises Refused when it cannot be carried out."""
    full = JobSpec()
    full.CopyFrom(spec)
    match full.WhichOneof("pipeline"):
        case "video":
            if not full.video.sources or not all(source.strip() for source in full.video.sources):
                raise invalid("video.sources: name at least one magnet link, torrent, video file or folder, and no empty one")
            if full.video.max_characters < 0:
                raise invalid("video.max_characters: 0 means all; less makes no sense")
            _check_references(full.video.references)
        case "character":
            if why := flaw(full.character.name):
                raise invalid(f"character.name: {why}")
            if bool(full.character.folder.strip()) == full.character.HasField("web"):
                raise invalid("character: give either the folder that holds the pictures, or what to look for on the web")
            if full.character.HasField("web") and not (full.character.web.name or full.character.web.urls):
                full.character.web.name = full.character.name
            full.name = full.name or full.character.name
        case "dataset":
            if why := flaw(full.dataset.name):
                raise invalid(f"dataset.name: {why}")
            if not full.dataset.folder.strip():
                raise invalid("dataset.folder: name the folder or the zip archive that holds the pictures and captions")
            full.name = full.name or full.dataset.name
        case "evaluation":
            _check_evaluation(full)
        case _:
            raise invalid("pipeline: say what the job works on, `video`, `character`, `dataset` or `evaluation`")
    if why := flaw(full.name):
        raise invalid(f"name: {why}")
    if full.seed < 0:
        raise invalid("seed: must be 0 or more")
    where = full.publish.WhichOneof("where")
    if where and not getattr(full.publish, where).strip():
        raise invalid(f"publish.{where}: is empty; leave `publish` out to publish nothing")
    if full.approve and not where:
        raise invalid("approve: nothing would be published; say where to in `publish`")
    return full


def _check_evaluation(full: JobSpec) -> None:
    wanted = full.evaluation
    if why := flaw(wanted.name):
        raise invalid(f"evaluation.name: {why}")
    if not wanted.lora.strip():
        raise invalid("evaluation.lora: name the .safetensors file, or the folder with a training's saves")
    if not wanted.folder.strip():
        raise invalid("evaluation.folder: name the folder or the zip archive that holds the character's pictures")
    if full.publish.WhichOneof("where"):
        raise invalid("publish: an evaluation publishes nothing; leave it out")
    wanted.trigger = wanted.trigger.strip() or slug(wanted.name)
    full.name = full.name or wanted.name


def _check_references(references: Sequence[Reference]) -> None:
    seen: set[str] = set()
    for number, known in enumerate(references):
        where = f"video.references[{number}]"
        if why := flaw(known.name):
            raise invalid(f"{where}: {why}")
        if is_dropped(known.name):
            raise invalid(f"{where}: {known.name!r} is the word that leaves an index out; give another name")
        if slug(known.name) in seen:
            raise invalid(f"{where}: {known.name!r} is there already; put all pictures of a character into one folder")
        if not known.folder.strip():
            raise invalid(f"{where}: name the folder that holds pictures of {known.name}")
        seen.add(slug(known.name))


def recipe_of(spec: JobSpec | DescribeRecipeRequest) -> Recipe:
    """The recipe that `spec` names or brings. Raises Refused, listing those there are or what is wrong with it."""
    try:
        return own_recipe(spec.recipe or "own", spec.recipe_yaml) if spec.recipe_yaml else recipe_named(spec.recipe)
    except UnknownRecipe as error:
        raise invalid(f"recipe: {error}") from error
    except BadRecipe as error:
        raise invalid(f"recipe {spec.recipe or 'own'}: {error}") from error


def new_job(job_id: str, tenant: str, spec: JobSpec, recipe: Recipe, now_ms: int) -> Job:
    """A job as it is before any work."""
    job = Job(id=job_id, tenant=tenant, spec=spec, state=JobState.JOB_STATE_QUEUED)
    job.created.FromMilliseconds(now_ms)
    ParseDict(recipe.model_dump(mode="json"), job.recipe)
    return job


def order_of(job: Job) -> Order:
    """What a job's workflows go by, from the job as recorded. Raises Refused when its recipe is from another age."""
    try:
        recipe = Recipe.model_validate(MessageToDict(job.recipe))
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        message = f"the recipe of job {job.id} does not fit this version of Kyara (at {key}); create the job anew"
        raise Refused(grpc.StatusCode.FAILED_PRECONDITION, message) from error
    return Order(
        id=job.id,
        spec=job.spec,
        recipe=recipe,
        created_ms=job.created.ToMilliseconds(),
        names=dict(job.names),
        tenant=tenant_of(job),
    )
