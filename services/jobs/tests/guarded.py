"""A jobs server as it is on a cluster, for tests: TLS, tokens, tenants, quotas, with stages that want a service identity."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import grpc
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kyara.jobs.v1.jobs_pb2_grpc import JobServiceStub
from kyara_artifacts import open_store
from kyara_rpc import connect_sync
from kyara_rpc.tokens import Role, sign
from services.jobs.tests.jobs_world import Jobs, Temporal
from services.jobs.tests.scripted_stages import ScriptedStages
from tests.servers.certificates import Authority, tls_settings

Metadata = tuple[tuple[str, str], ...]


class Guarded:
    """The server, its stages, its CA, and who signs its tokens."""

    def __init__(self, folder: Path, temporal: Temporal, name: str, store: str = "", **settings: str) -> None:
        folder.mkdir(parents=True)
        self.store_url = store or f"file://{folder}/store"
        self.authority = Authority(folder / "ca")
        self.signer, self.public = folder / "signer.pem", folder / "public.pem"
        write_pair(self.signer, self.public)
        self.stages = ScriptedStages(open_store(self.store_url), self.authority.identity("stages"))
        self.stages.start()
        values = {"auth_key": str(self.public), **tls_settings(self.authority.identity("jobs")), **settings}
        self.process = Jobs(folder, temporal.address, self.store_url, self.stages.address, name, values)
        self.process.start()
        self.channel = self._connected()

    def stop(self) -> None:
        """Stop the server and its stages."""
        self.channel.close()
        self.process.stop()
        self.stages.stop()

    def renew_certificates(self) -> None:
        """All of them, of another CA, as files; the stages start again with them, and jobs does not."""
        self.stages.stop()
        self.authority.renew()
        for name in ("jobs", "stages"):
            self.authority.identity(name)
        self.stages.start()
        self.channel.close()
        self.channel = self._connected()

    def _connected(self) -> grpc.Channel:
        return connect_sync(self.process.serves, grpc.ssl_channel_credentials(self.authority.ca.read_bytes()))

    def token(self, tenant: str, *roles: Role, subject: str = "somebody", seconds: float = 600) -> str:
        """A token that this server takes."""
        return sign(self.signer, "kyara", subject, tenant, roles, seconds)

    def of(self, tenant: str, *roles: Role, **more: Any) -> JobServiceStub:
        """A client that shows a token."""
        return self.showing(bearer(self.token(tenant, *roles, **more)))

    def showing(self, metadata: Metadata) -> JobServiceStub:
        """A client that shows this with each call."""
        return JobServiceStub(grpc.intercept_channel(self.channel, _Shows(metadata)))


def bearer(token: str) -> Metadata:
    """How a token is shown."""
    return (("authorization", f"Bearer {token}"),)


def write_pair(private: Path, public: Path) -> None:
    """An Ed25519 key for signing, and its public half."""
    key = Ed25519PrivateKey.generate()
    pem = serialization.Encoding.PEM
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))


def claims(**changed: Any) -> dict[str, Any]:
    """What a good token says, with changes."""
    good = {"sub": "somebody", "tenant": "acme", "roles": ["admin"], "aud": "kyara", "exp": time.time() + 600}
    return {name: value for name, value in (good | changed).items() if value is not None}


def signed(world: Guarded, **changed: Any) -> str:
    """A token by the right signer that says something else than a good one."""
    return jwt.encode(claims(**changed), world.signer.read_text(), algorithm="EdDSA")


def unsigned() -> str:
    """A token that says that it needs no signature."""
    return jwt.encode(claims(), "", algorithm="none")


def confused(world: Guarded) -> str:
    """A token whose signature takes the public key, which everybody may know, for a secret."""

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    body = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()) + b"." + part(json.dumps(claims()).encode())
    secret = world.public.read_bytes()
    return (body + b"." + part(hmac.new(secret.strip(), body, hashlib.sha256).digest())).decode()


class _Shows(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(client_call_details._replace(metadata=self._metadata), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(client_call_details._replace(metadata=self._metadata), request)
