"""What the jobs server tells Prometheus: how long stages wait for a place, how jobs end, what a character costs."""

from prometheus_client import Counter, Histogram

from kyara.jobs.v1.jobs_pb2 import Job, JobState

QUEUE_BUCKETS_S = (0.05, 0.5, 2, 10, 60, 300, 900, 3600, 4 * 3600)
JOB_BUCKETS_S = (60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600)
COST_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 25)

QUEUED = Histogram("kyara_stage_queue_seconds", "From a stage's call to its start", ["operation"], buckets=QUEUE_BUCKETS_S)
CREATED = Counter("kyara_jobs_created_total", "Jobs created")
ENDED = Histogram("kyara_job_seconds", "Jobs that ended, and how long they took", ["state"], buckets=JOB_BUCKETS_S)
GPU_SECONDS = Histogram("kyara_character_gpu_seconds", "Seconds of graphics cards for a character", buckets=JOB_BUCKETS_S)
COST = Histogram(
    "kyara_character_cost", "Cost of a character's graphics cards, in the currency of gpu_hour_price", buckets=COST_BUCKETS
)


def job_ended(job: Job, gpu_hour_price: float) -> None:
    """Count a job that ended, and what each of its trained characters took."""
    state = JobState.Name(job.state).removeprefix("JOB_STATE_")
    ENDED.labels(state).observe((job.ended.ToMilliseconds() - job.created.ToMilliseconds()) / 1000)
    for character in job.characters:
        if character.state == JobState.JOB_STATE_SUCCEEDED:
            seconds = gpu_seconds(job, character.name)
            GPU_SECONDS.observe(seconds)
            if gpu_hour_price:
                COST.observe(seconds / 3600 * gpu_hour_price)


def gpu_seconds(job: Job, character: str) -> float:
    """Seconds that a character's stages held graphics cards, times cards; what was answered from kept results held none."""
    return sum(stage.progress.metrics.get("gpu_seconds", 0.0) for stage in job.stages if stage.subject == character)
