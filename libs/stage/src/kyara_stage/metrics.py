"""What every stage tells Prometheus of its attempts."""

import re

from prometheus_client import Counter, Gauge, Histogram

from kyara.stage.v1.stage_pb2 import Progress

RUN_BUCKETS_S = (0.5, 2, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
RUN = Histogram("kyara_stage_run_seconds", "Attempts that ended, and how long", ["operation", "outcome"], buckets=RUN_BUCKETS_S)
RUNNING = Gauge("kyara_stage_running", "Attempts that run", ["operation"])
CACHED = Counter("kyara_stage_cached_total", "Actions answered with a kept result", ["operation"])
JOINED = Counter("kyara_stage_joined_total", "Calls that joined a running action", ["operation"])
REFUSED = Counter("kyara_stage_refused_total", "Calls told to come back, since all slots were taken", ["operation"])
ITEMS = Counter("kyara_stage_items_total", "Items done, as progress counts them", ["operation", "unit"])
REJECTED = Counter("kyara_stage_rejected_total", "Items set aside", ["operation", "reason_kind"])
GPU_SECONDS = Counter("kyara_gpu_seconds_total", "Seconds that runs on Ray held graphics cards, times cards", ["operation"])

GPU_SECONDS_METRIC = "gpu_seconds"
"""The name under which a run's progress tells how long it has held graphics cards."""
MOST_KINDS = 40
"""Kinds of reasons that one process tells apart; reasons are sentences, and each label is a series for good."""
_kinds: set[str] = set()


def reason_kind(reason: str) -> str:
    """The kind of a reason: its words before what differs from item to item; `other` once there are too many."""
    words = re.split(r"[:;,(\"'=<]|\S*\d|\S*[/\\]|\bas\s", reason, maxsplit=1)[0].lower().split()
    kind = " ".join(words[:6]) or "other"
    if kind not in _kinds and len(_kinds) >= MOST_KINDS:
        return "other"
    _kinds.add(kind)
    return kind


class ProgressCount:
    """Turns the progress of one attempt, which says how far it is, into counts of what was done since."""

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self._done: dict[str, int] = {}
        self._gpu_seconds = 0.0

    def add(self, progress: Progress) -> None:
        """Count what is new in `progress`."""
        if progress.unit:
            fresh = progress.done - self._done.get(progress.phase, 0)
            ITEMS.labels(self._operation, progress.unit).inc(max(0, fresh))
            self._done[progress.phase] = progress.done
        held = progress.metrics.get(GPU_SECONDS_METRIC, 0.0)
        GPU_SECONDS.labels(self._operation).inc(max(0.0, held - self._gpu_seconds))
        self._gpu_seconds = max(held, self._gpu_seconds)
