"""A stage's work as a Ray job: submitted once, joined again, followed through records in the store."""

from kyara_rayjobs.api import RayApi, RayUnreachableError
from kyara_rayjobs.report import RunReport, run_reported
from kyara_rayjobs.runs import RayRun, follow, refs_of

__all__ = ["RayApi", "RayRun", "RayUnreachableError", "RunReport", "follow", "refs_of", "run_reported"]
