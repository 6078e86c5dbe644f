"""The embedded inference server: `python -m kyara_inference.server --listen host:port`.

For one machine without Triton. It serves every model of the catalogue whose files are here, the built-in ones and
those under `--models`, on the CPU.
"""

import asyncio
import os
import sys
from pathlib import Path

from pydantic import Field
from tritonclient.grpc import service_pb2_grpc

from kyara_inference.catalogue import catalogue, default_models_dir
from kyara_inference.engine import Engine
from kyara_inference.servicer import SERVICE, InferenceServicer
from kyara_rpc import ServiceSettings, configure_logs, load_settings, serve_until_stopped, settings_config


class InferenceSettings(ServiceSettings):
    """Settings of the embedded inference server."""

    model_config = settings_config("inference")

    models: Path = Field(default_factory=default_models_dir)
    """Where `kyara models pull` puts models."""
    threads: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 2) // 2), ge=1)
    """Threads that one run of a model uses."""
    workers: int = Field(default=2, ge=1)
    """Runs at the same time; further requests wait."""


def main() -> None:
    """Serve until stopped."""
    settings = load_settings(InferenceSettings)
    configure_logs("inference", settings.log_level)
    servicer = InferenceServicer(Engine(catalogue(), settings.models, settings.threads), settings.workers)
    try:
        asyncio.run(
            serve_until_stopped(
                settings,
                [SERVICE],
                lambda server: service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server),
            )
        )
    except RuntimeError as error:
        sys.exit(f"the inference server cannot start: {error}")


if __name__ == "__main__":
    main()
