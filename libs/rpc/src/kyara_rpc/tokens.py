"""Bearer tokens: signed JSON Web Tokens that say who calls, for which tenant, and what they may do.

The key's own type fixes the one algorithm that is taken, so that a token cannot choose how it is checked. A token is
good until it expires; to disown one sooner, change the key. Needs the extra `kyara-rpc[tokens]`.
"""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

LEAST_SECRET = 32
LEAST_RSA_BITS = 2048
CLOCKS_DIFFER_S = 10
LONGEST_SUBJECT = 200
_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Role(StrEnum):
    """What a caller may do; each may all that the ones before it may."""

    READ = "read"
    SUBMIT = "submit"
    ADMIN = "admin"
    """Sees and changes the jobs of all tenants."""


@dataclass(frozen=True)
class Identity:
    """Who calls."""

    subject: str
    tenant: str
    roles: frozenset[Role]
    expires: float
    """When the token is no longer good, in seconds since 1970."""

    def may(self, role: Role) -> bool:
        """Whether what needs `role` is allowed."""
        ranks = list(Role)
        return any(ranks.index(own) >= ranks.index(role) for own in self.roles)


class BadToken(Exception):
    """A token is not taken; says why, and nothing of what is in it."""


class Verifier:
    """Checks tokens against a public key, or the secret that signs them. Raises ValueError when the key does not do."""

    def __init__(self, key_file: Path, audience: str) -> None:
        self._key, self._algorithm = _key_in(key_file)
        if _is_private(self._key):
            raise ValueError(f"{key_file} holds a private key, which only the signer of tokens may have; give its public key")
        self._audience = audience

    def identity_of(self, token: str) -> Identity:
        """Whom `token` names. Raises BadToken."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[self._algorithm],
                audience=self._audience,
                leeway=CLOCKS_DIFFER_S,
                options={"require": ["exp", "sub", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise BadToken("the token has expired; get a new one") from None
        except jwt.InvalidAudienceError:
            raise BadToken(f"the token is for another audience than {self._audience!r}") from None
        except jwt.InvalidSignatureError:
            raise BadToken("the token is not signed with the key of this Kyara") from None
        except jwt.PyJWTError as error:
            raise BadToken(f"the token is not one that Kyara takes ({type(error).__name__})") from None
        return _identity(claims)


def sign(key_file: Path, audience: str, subject: str, tenant: str, roles: Iterable[Role], seconds: float) -> str:
    """A token that is good for `seconds` from now. Raises ValueError for a key that cannot sign, or a claim that is not taken."""
    key, algorithm = _key_in(key_file)
    if not (_is_private(key) or isinstance(key, bytes)):
        raise ValueError(f"{key_file} holds a public key, which only checks tokens; sign with its private key")
    now = time.time()
    claims = {"sub": subject, "tenant": tenant, "roles": [*roles], "iat": int(now), "exp": int(now + seconds), "aud": audience}
    try:
        _identity(claims)
    except BadToken as error:
        raise ValueError(str(error)) from error
    return jwt.encode(claims, key, algorithm=algorithm)


def _identity(claims: dict[str, Any]) -> Identity:
    subject, tenant, roles = claims.get("sub"), claims.get("tenant"), claims.get("roles")
    if not (isinstance(subject, str) and 0 < len(subject) <= LONGEST_SUBJECT):
        raise BadToken(f"the token's subject must be a text of 1 to {LONGEST_SUBJECT} characters")
    if not (isinstance(tenant, str) and _TENANT.fullmatch(tenant)):
        raise BadToken("the token's tenant must be of at most 63 small letters, digits and '-', as in a host's name")
    if not isinstance(roles, list):
        raise BadToken("the token's roles must be a list")
    # Another system's roles in the same token grant nothing here.
    known = frozenset(role for role in Role if role.value in roles)
    return Identity(subject, tenant, known, float(claims["exp"]))


def _key_in(file: Path) -> tuple[Any, str]:
    """The key in `file`, and the one algorithm that goes with it. Raises ValueError."""
    try:
        data = file.read_bytes().strip()
    except OSError as error:
        raise ValueError(f"key file {file} cannot be read: {error.strerror}") from error
    if not data.startswith(b"-----BEGIN"):
        if len(data) < LEAST_SECRET:
            raise ValueError(f"key file {file} holds {len(data)} bytes; a secret needs {LEAST_SECRET} or more")
        return data, "HS256"
    try:
        key = load_pem_private_key(data, None) if b"PRIVATE KEY" in data.splitlines()[0] else load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"key file {file} holds no PEM key that can be read without a password") from error
    match key:
        case rsa.RSAPrivateKey() | rsa.RSAPublicKey() if key.key_size >= LEAST_RSA_BITS:
            return key, "RS256"
        case ec.EllipticCurvePrivateKey() | ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1):
            return key, "ES256"
        case ed25519.Ed25519PrivateKey() | ed25519.Ed25519PublicKey():
            return key, "EdDSA"
    raise ValueError(f"key file {file}: use Ed25519, P-256, or RSA of {LEAST_RSA_BITS} bits or more")


def _is_private(key: Any) -> bool:
    return isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)
