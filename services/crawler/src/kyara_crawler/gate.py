"""A way to the web for a program that speaks HTTP by itself: a proxy on loopback that leads only where the crawler may go."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kyara_crawler.web import Reach, Unfetched, Web
from kyara_outside import without_secrets

_PIECE = 1 << 16


@dataclass
class Gate:
    """The proxy. Each connection is one request, so that each waits for its host's turn."""

    web: Web
    reach: Reach
    """`most_bytes` of all answers together."""
    url: str = ""
    refused: list[str] = field(default_factory=list)
    """Why requests were not let through."""
    _read_bytes: int = 0

    async def serve(self, child: asyncio.StreamReader, to_child: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            try:
                await self._let_through(child, to_child)
            except Unfetched as error:
                self.refused.append(str(error))
                to_child.write(b"HTTP/1.1 403 Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await to_child.drain()
        to_child.close()

    async def _let_through(self, child: asyncio.StreamReader, to_child: asyncio.StreamWriter) -> None:
        line, *headers = (await child.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        try:
            method, target, _ = line.split(" ", 2)
            tunnel = method == "CONNECT"
            parts = urlsplit(f"//{target}" if tunnel else target)
            host, port = parts.hostname or "", parts.port or 80
        except ValueError as error:
            raise Unfetched(f"{without_secrets(line)[:200]!r} asks for no link: {error}") from error
        site, to_site = await self.web.connection(host, port, self.reach)
        try:
            if tunnel:
                to_child.write(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                path = parts._replace(scheme="", netloc="").geturl() or "/"
                to_site.write(_closing(f"{method} {path} HTTP/1.1", headers))
            upload = asyncio.create_task(_copy(child, to_site))
            try:
                if not tunnel:
                    # Not all sites repeat that they close; then the child's next request would meet a closed connection.
                    status, *told = (await site.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                    to_child.write(_closing(status, told))
                await self._answer(site, to_child)
            finally:
                upload.cancel()
        finally:
            to_site.close()

    async def _answer(self, site: asyncio.StreamReader, to_child: asyncio.StreamWriter) -> None:
        while piece := await site.read(_PIECE):
            self._read_bytes += len(piece)
            if self._read_bytes > self.reach.most_bytes:
                self.refused.append(f"answers are larger than the {self.reach.most_bytes} bytes allowed")
                return
            to_child.write(piece)
            await to_child.drain()


def _closing(line: str, headers: list[str]) -> bytes:
    """A request's or an answer's head that says that nothing follows it on its connection."""
    kept = [each for each in headers if each and "connection" not in each.partition(":")[0].lower()]
    return "\r\n".join([line, *kept, "Connection: close", "", ""]).encode("latin-1")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()


@contextlib.asynccontextmanager
async def gate_to(web: Web, reach: Reach) -> AsyncIterator[Gate]:
    """A gate that stands open meanwhile."""
    gate = Gate(web, reach)
    serving: set[asyncio.Task[None]] = set()

    def accept(child: asyncio.StreamReader, to_child: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(gate.serve(child, to_child))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    gate.url = "http://{}:{}".format(*server.sockets[0].getsockname())
    try:
        yield gate
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
