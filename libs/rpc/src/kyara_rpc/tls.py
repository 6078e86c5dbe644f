"""TLS between services: whoever shows a certificate of Kyara's own CA is one of them, and nobody else is let in.

The CA must be Kyara's own: with one that signs for others too, those others are let in.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import structlog

log = structlog.get_logger()


@dataclass(frozen=True)
class Tls:
    """The PEM files of a service's identity. They are read again when they are renewed, so that nothing need restart."""

    cert: Path
    """The certificate, followed by those between it and the CA."""
    key: Path
    """Its private key."""
    ca: Path
    """The CA that signs every service's certificate."""

    def server_credentials(self, services_only: bool) -> grpc.ServerCredentials:
        """What a server shows; with `services_only` it asks for the same of whoever calls. Raises ValueError."""
        seen = self.renewal()

        def renewed() -> Any:
            """Asked at each handshake: the new certificate, or None to go on with the last one, which the stubs do not know."""
            nonlocal seen
            try:
                if (now := self.renewal()) == seen:
                    return None
                configuration = self._configuration()
            except ValueError as error:
                log.warning("the renewed certificate cannot be used; the last one is shown", error=str(error))
                return None
            seen = now
            return configuration

        return grpc.dynamic_ssl_server_credentials(self._configuration(), renewed, require_client_authentication=services_only)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """What a caller shows to a service, and whom it trusts. Raises ValueError when a file cannot be read."""
        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.cert))

    def renewal(self) -> tuple[tuple[int, int], ...]:
        """Tells one set of files from the next: a channel keeps what it was made with. Raises ValueError."""
        try:
            stats = [file.stat() for file in (self.cert, self.key, self.ca)]
        except OSError as error:
            raise ValueError(f"TLS file {error.filename} cannot be read: {error.strerror}") from error
        return tuple((stat.st_ino, stat.st_mtime_ns) for stat in stats)

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        pair = _read(self.key), _read(self.cert)
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=_read(self.ca))


def bind(server: grpc.aio.Server, listen: str, tls: Tls | None, services_only: bool) -> int:
    """Let `server` listen at host:port; the port. Raises RuntimeError when it is taken, ValueError for files that do not do."""
    if tls:
        return server.add_secure_port(listen, tls.server_credentials(services_only))
    return server.add_insecure_port(listen)


def _read(file: Path) -> bytes:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ValueError(f"TLS file {file} cannot be read: {error.strerror}") from error
    if b"-----BEGIN" not in data:
        raise ValueError(f"TLS file {file} is no PEM file: it has no -----BEGIN line")
    return data
