"""What every Kyara server and client starts with: settings, logs, server, channel."""

from kyara_rpc.channel import connect, connect_sync, is_loopback
from kyara_rpc.health import is_serving
from kyara_rpc.logs import configure_logs
from kyara_rpc.server import serve_until_stopped
from kyara_rpc.settings import ServiceSettings, load_settings, settings_config
from kyara_rpc.tls import Tls

__all__ = [
    "ServiceSettings",
    "Tls",
    "configure_logs",
    "connect",
    "connect_sync",
    "is_loopback",
    "is_serving",
    "load_settings",
    "serve_until_stopped",
    "settings_config",
]
