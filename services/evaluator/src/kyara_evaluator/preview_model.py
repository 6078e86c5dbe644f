"""The preview model as a Ray Serve deployment: one per base model, as many replicas as its queue needs, none when idle.

This module is imported by whoever deploys it, which needs no torch.
"""

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve.config import AutoscalingConfig
from ray.serve.handle import DeploymentHandle

from kyara.stage.v1.stage_pb2 import Digest
from kyara_artifacts import open_store, put_picture
from kyara_evaluator.request import DrawRequest, Lora


@dataclass(frozen=True)
class Placement:
    """What a deployment is made of; another one is another deployment."""

    store: str
    model_folder: str
    threads: int
    num_cpus: float
    num_gpus: float
    max_replicas: int
    idle_s: float

    @property
    def app_name(self) -> str:
        """Name of the Serve application."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return f"previews-{digest[:12]}"


@serve.deployment(max_ongoing_requests=1)
class PreviewModel:
    """Draws the previews of a save and keeps them in the store."""

    def __init__(self, placement: Placement) -> None:
        from kyara_evaluator.drawing import Previewer

        self._store = open_store(placement.store)
        self._previewer = Previewer(Path(placement.model_folder), placement.threads)

    def draw(self, value: dict[str, Any]) -> list[dict[str, Any]] | str:
        """`sha256`, `size`, `width`, `height` and `finite` of each preview of a `DrawRequest`; or why nothing can be drawn."""
        from kyara_evaluator.drawing import UnfitLoraError, UnknownSchedulerError

        request = DrawRequest.from_json(value)
        with tempfile.TemporaryDirectory() as folder:
            lora, words = (self._fetched(each, Path(folder)) for each in (request.lora, request.words))
            try:
                pictures = self._previewer.draw(request, lora, words)
            except (UnfitLoraError, UnknownSchedulerError) as error:
                return str(error)
        return [self._kept(picture.pixels, picture.finite) for picture in pictures]

    def _fetched(self, file: Lora | None, folder: Path) -> Path | None:
        if file is None:
            return None
        path = folder / f"{file.sha256}.safetensors"
        self._store.fetch(Digest(sha256=file.sha256, size_bytes=file.size), path)
        return path

    def _kept(self, pixels: Any, finite: bool) -> dict[str, Any]:
        digest, width, height = put_picture(self._store, pixels)
        return {"sha256": digest.sha256, "size": digest.size_bytes, "width": width, "height": height, "finite": finite}


def preview_model(placement: Placement) -> DeploymentHandle:
    """A handle to the deployment, which is started when it is not there. Needs a connection to Ray."""
    serve.start(proxy_location="Disabled")
    application = serve.status().applications.get(placement.app_name)
    if application is not None and application.status in ("RUNNING", "DEPLOYING"):
        return serve.get_app_handle(placement.app_name)
    deployment = PreviewModel.options(
        autoscaling_config=AutoscalingConfig(
            min_replicas=0,
            initial_replicas=1,
            max_replicas=placement.max_replicas,
            target_ongoing_requests=1,
            upscale_delay_s=0,
            downscale_delay_s=placement.idle_s,
        ),
        ray_actor_options={"num_cpus": placement.num_cpus, "num_gpus": placement.num_gpus},
    )
    return serve.run(deployment.bind(placement), name=placement.app_name, route_prefix=None)
