"""What every Kyara server and client starts with: settings, logs, server, channel."""

from kyara_rpc.channel import connect, connect_sync, is_loopback
from kyara_rpc.health import is_serving
from kyara_rpc.logs import configure_logs
from kyara_rpc.server import serve_until_stopped
from kyara_rpc.settings import ServiceSettings, load_settings, settings_config
from kyara_rpc.tls import Tls
from kyara_rpc.traces import carried_trace, configure_traces, span_of, traces_are_sent

__all__ = [
    "ServiceSettings",
    "Tls",
    "carried_trace",
    "configure_logs",
    "configure_traces",
    "connect",
    "connect_sync",
    "is_loopback",
    "is_serving",
    "load_settings",
    "serve_until_stopped",
    "settings_config",
    "span_of",
    "traces_are_sent",
]
