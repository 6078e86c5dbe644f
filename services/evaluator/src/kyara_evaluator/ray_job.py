"""What runs on Ray: `python -m kyara_evaluator.ray_job <json>`, submitted by the stage.

It asks the preview model for the previews of each save, and keeps a checkpoint after every one: a list of what is
drawn so far, from which another try goes on.
"""

import json
import sys
from collections import deque
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.serve.handle import DeploymentHandle

from kyara_artifacts import Store, get_json, open_store, put_json
from kyara_evaluator.preview_model import Placement, preview_model
from kyara_rayjobs import RunReport, run_reported

TRIES = 3


def main() -> None:
    """Draw all previews of the argument's `requests`."""
    argument = json.loads(sys.argv[1])
    report = RunReport.open(argument)
    report.begin("starting the preview model")
    ray.init(address="auto", log_to_driver=False)
    run_reported(report, argument, lambda: _draw_all(argument, report))


def _draw_all(argument: dict[str, Any], report: RunReport) -> dict[str, Any]:
    """Previews by step (as text, for JSON) and in the order of the prompts; a text that says why, where a LoRA is unfit."""
    store = open_store(argument["store"])
    requests: list[dict[str, Any]] = argument["requests"]
    drawn: dict[str, Any] = get_json(store, report.last_checkpoint) if report.last_checkpoint else {}
    missing = [request for request in requests if str(request["step"]) not in drawn]
    total = sum(len(request["prompts"]) for request in requests)
    _say(report, drawn, total)
    if missing:
        placement = Placement(**argument["placement"])
        model = preview_model(placement)
        for request, pictures in _answers(model, missing, 2 * placement.max_replicas):
            drawn[str(request["step"])] = pictures
            _keep(store, report, drawn)
            _say(report, drawn, total)
    return {"drawn": drawn}


def _answers(model: DeploymentHandle, requests: list[dict[str, Any]], ahead: int) -> Any:
    """Each request with its answer, in order, a few asked for ahead so that every replica has work."""
    waiting = deque(requests)
    asked: deque[tuple[dict[str, Any], Any]] = deque()
    while waiting or asked:
        while waiting and len(asked) < ahead:
            request = waiting.popleft()
            asked.append((request, model.draw.remote(request)))
        request, answer = asked.popleft()
        yield request, _patiently(model, request, answer)


def _patiently(model: DeploymentHandle, request: dict[str, Any], answer: Any) -> list[dict[str, Any]] | str:
    """The answer; asked again when the replica that worked on it died, which Serve replaces."""
    for _ in range(TRIES - 1):
        try:
            return answer.result()
        except RayActorError:
            answer = model.draw.remote(request)
    return answer.result()


def _keep(store: Store, report: RunReport, drawn: dict[str, Any]) -> None:
    report.checkpoint(put_json(store, "previews-so-far", drawn))


def _say(report: RunReport, drawn: dict[str, Any], total: int) -> None:
    done = sum(len(pictures) for pictures in drawn.values() if isinstance(pictures, list))
    report.progress("drawing previews", done, total, "pictures", now=True)


if __name__ == "__main__":
    main()
