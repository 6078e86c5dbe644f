"""Settings of a service: command line > environment > YAML file > default; a typo anywhere is an error.

The YAML file is named by `KYARA_CONFIG`. Secrets come from the environment or from files, never from YAML.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    CliApp,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from kyara_rpc.tls import Tls

S = TypeVar("S", bound="ServiceSettings")


def settings_config(room: str) -> SettingsConfigDict:
    """How the settings class of `room` reads its values: `KYARA_{ROOM}_{FIELD}` in the environment."""
    return SettingsConfigDict(
        env_prefix=f"KYARA_{room.upper()}_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        cli_kebab_case=True,
        cli_prog_name=f"kyara-{room}",
    )


class ServiceSettings(BaseSettings):
    """What every service is told. A service subclasses it with `model_config = settings_config(room)`."""

    model_config = SettingsConfigDict(use_attribute_docstrings=True)

    listen: str = Field(default="127.0.0.1:0", pattern=r"^.+:\d+$")
    """Address to serve gRPC on, host:port; port 0 takes a free one."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important log line that is written."""
    reflection: bool = False
    """Whether gRPC reflection answers: it tells whoever asks what is served here."""
    tls_cert: Path | None = None
    """PEM file of the certificate that this service shows; without it, connections are plain."""
    tls_key: Path | None = None
    """PEM file of the certificate's private key."""
    tls_ca: Path | None = None
    """PEM file of the CA that signs the certificates of all services, and of nobody else."""
    probe_listen: str = Field(default="", pattern=r"^(.+:\d+)?$")
    """Address that answers health checks, and nothing else, without TLS: Kubernetes' probes know none. Empty serves none."""
    metrics_listen: str = Field(default="", pattern=r"^(.+:\d+)?$")
    """Address to serve Prometheus metrics on, host:port; empty serves none."""
    traces: str = Field(default="", pattern=r"^(https?://.+)?$")
    """Address of an OpenTelemetry collector (OTLP over gRPC), http://host:4317; empty sends no traces."""

    @property
    def tls(self) -> Tls | None:
        """What this service shows to others, and asks of them."""
        if self.tls_cert and self.tls_key and self.tls_ca:
            return Tls(self.tls_cert, self.tls_key, self.tls_ca)
        return None

    @model_validator(mode="after")
    def _all_of_tls_or_nothing(self) -> Self:
        if len({file is None for file in (self.tls_cert, self.tls_key, self.tls_ca)}) > 1:
            raise ValueError("tls_cert, tls_key and tls_ca belong together: give all three, or none")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of the layers under the command line, which pydantic-settings puts first."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, os.environ.get("KYARA_CONFIG"))


def load_settings(settings_class: type[S], arguments: Sequence[str] | None = None) -> S:
    """The settings from all layers. Ends the process with exit code 2 and a sentence when they are wrong."""
    try:
        _refuse_unknown_environment(settings_class)
        _refuse_unreadable_file()
        return CliApp.run(settings_class, cli_args=list(sys.argv[1:] if arguments is None else arguments))
    except ValidationError as error:
        for problem in error.errors():
            where = " ".join(["setting", ".".join(map(str, problem["loc"]))]).strip()
            print(f"{where}: {problem['msg']}", file=sys.stderr)
    except (SettingsError, ValueError) as error:
        print(f"settings: {error}", file=sys.stderr)
    raise SystemExit(2)


def _refuse_unknown_environment(settings_class: type[ServiceSettings]) -> None:
    """A misspelt variable would silently become a default: pydantic reads only the names that it knows."""
    prefix = settings_class.model_config.get("env_prefix", "")
    known = {f"{prefix}{name}".upper() for name in settings_class.model_fields}
    for name in os.environ:
        if name.startswith(prefix) and name.split("__")[0] not in known:
            raise ValueError(f"{name} in the environment is no setting; known are {', '.join(sorted(known))}")


def _refuse_unreadable_file() -> None:
    """A YAML file that is missing would silently become defaults."""
    path = os.environ.get("KYARA_CONFIG")
    if not path:
        return
    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}, which KYARA_CONFIG names, cannot be read: {error}") from error
    if not isinstance(content, dict | None):
        raise ValueError(f"{path}, which KYARA_CONFIG names, must hold settings as `name: value`")
