"""HTTP to public addresses only, as a transport of httpx."""

import asyncio
import re
import socket

import httpx

from kyara_outside.addresses import is_public


class NotPublic(Exception):
    """A link leads where none from outside may lead; the message says where."""


class PublicOnly(httpx.AsyncBaseTransport):
    """Connects to the very addresses that were looked at, so that no name can point elsewhere a moment later.

    Every hop of a redirect comes by here. Raises NotPublic for what is neither http nor https, and for a name none of whose
    addresses is public; `allow_private` lets these through, for tests and networks of one's own.
    """

    def __init__(self, allow_private: bool = False) -> None:
        self._allow_private = allow_private
        self._trusted = httpx.create_ssl_context(trust_env=False)
        # One for each name: a connection is used again by its address, whatever name its certificate was checked for.
        self._by_name: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer from the first of the name's addresses that takes the connection."""
        if request.url.scheme not in ("http", "https"):
            raise NotPublic(f"{without_secrets(str(request.url))} is neither http nor https; give a link of one of them")
        name = request.url.raw_host.decode()
        if name not in self._by_name:
            self._by_name[name] = httpx.AsyncHTTPTransport(verify=self._trusted, trust_env=False)
        refused: Exception | None = None
        for address in await self.addresses(name):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                extensions={**request.extensions, "sni_hostname": name},
            )
            try:
                return await self._by_name[name].handle_async_request(pinned)
            except httpx.ConnectError as error:
                refused = error
        assert refused
        raise refused

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._by_name.values():
            await transport.aclose()

    async def addresses(self, name: str) -> list[str]:
        """Where a name leads, and may. Raises NotPublic, and httpx.ConnectError for a name that leads nowhere."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(f"the name {name} leads nowhere ({error})") from error
        addresses = [str(address[0]) for *_, address in found]
        allowed = [address for address in addresses if self._allow_private or is_public(address)]
        if not allowed:
            raise NotPublic(f"{name} is at {addresses[0]}, which is no public address")
        return allowed


def without_secrets(url: str) -> str:
    """A link without its query and password, where keys to private trackers are."""
    return re.sub("://[^/]*@", "://", url).partition("?")[0]
