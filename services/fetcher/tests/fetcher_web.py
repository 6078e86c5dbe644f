"""A small web server on loopback: files with ranges, redirects, refusals, answers that never end."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], host: str = "127.0.0.1") -> Iterator[str]:
    """The address of a server that answers with `handler` until the block ends."""
    server = ThreadingHTTPServer((host, 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Web:
    """What a web server has, and what it was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    """Where a path leads."""
    refusals: dict[str, int] = field(default_factory=dict)
    """Status that a path answers."""
    endless: set[str] = field(default_factory=set)
    """Paths that send a byte now and then, for ever."""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and headers of each request."""
    closed: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        """A link to a path."""
        return f"http://{self.address}{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.web.asked.append((path, dict(self.headers)))
        if path in self.web.redirects:
            self._answer(302, b"", Location=self.web.redirects[path])
        elif path in self.web.endless:
            self._dribble()
        elif path in self.web.files:
            self._file(self.web.files[path])
        else:
            self._answer(self.web.refusals.get(path, 404), b"no")

    def _file(self, data: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not asked:
            self._answer(200, data)
            return
        first, last = int(asked[1]), min(int(asked[2]), len(data) - 1)
        self._answer(206, data[first : last + 1], **{"Content-Range": f"bytes {first}-{last}/{len(data)}"})

    def _dribble(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not self.web.closed.wait(0.05):
            try:
                self.wfile.write(b"d")
            except OSError:
                return

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to the test's output."""


@contextmanager
def web_server(host: str = "127.0.0.1") -> Iterator[Web]:
    """A web server that has nothing yet."""
    web = Web()
    with serving(type("Handler", (_Handler,), {"web": web}), host) as web.address:
        yield web
        web.closed.set()
