"""A server with nothing but what every room's server has: the subject of the tests of `kyara_rpc`."""

import asyncio
import os
import sys

import structlog

import kyara_rpc.server
from kyara_rpc import ServiceSettings, configure_logs, load_settings, serve_until_stopped, settings_config


class BellSettings(ServiceSettings):
    """Settings of the bell."""

    model_config = settings_config("bell")


def main() -> None:
    """Serve."""
    settings = load_settings(BellSettings)
    configure_logs("bell", settings.log_level)
    # A test does not wait for a minute.
    kyara_rpc.server.CONNECTION_AGE_MS = int(os.environ.get("BELL_CONNECTION_AGE_MS", kyara_rpc.server.CONNECTION_AGE_MS))
    structlog.get_logger().debug("hardly worth a word")
    try:
        asyncio.run(serve_until_stopped(settings, ["kyara.bell.v1.BellService"], lambda server: None))
    except (RuntimeError, ValueError) as error:
        sys.exit(f"bell cannot start: {error}")


if __name__ == "__main__":
    main()
