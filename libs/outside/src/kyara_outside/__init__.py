"""Speaking with hosts that nobody vouches for, whatever a link, a redirect or a name says."""

from kyara_outside.addresses import NOT_PUBLIC, is_public
from kyara_outside.transport import NotPublic, PublicOnly, without_secrets

__all__ = ["NOT_PUBLIC", "NotPublic", "PublicOnly", "is_public", "without_secrets"]
