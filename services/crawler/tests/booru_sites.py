"""Image sites on loopback, each family as its documentation says: paging, limits, aliases, errors, and faults on top."""

import hashlib
import io
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import PIL.Image

Query = dict[str, str]


def png(seed: int, size: tuple[int, int] = (40, 30)) -> bytes:
    """A picture of its own."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Offer:
    """A post that a site has."""

    id: int
    tags: str
    rating: str = "general"
    data: bytes = b""
    file_url: str | None = "own"
    md5: str | None = None
    source: str = ""
    parent: int | None = None

    def __post_init__(self) -> None:
        self.data = self.data or png(self.id)
        self.md5 = self.md5 if self.md5 is not None else hashlib.md5(self.data).hexdigest()


@dataclass
class Fault:
    """What a path answers instead, so many times."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    times: int = 10**9
    slow_s: float = 0.0
    cut: bool = False
    """Whether the connection ends in the middle of the body."""


class BooruSite:
    """A site of a family, with what it was asked."""

    def __init__(self, family: str, offers: list[Offer], aliases: dict[str, str] | None = None) -> None:
        self.family = family
        self.offers = offers
        self.aliases = aliases or {}
        self.characters = {tag for offer in offers for tag in offer.tags.split() if tag.startswith("char_")}
        self.faults: dict[str, Fault] = {}
        """By the beginning of a path."""
        self.rename: dict[str, str] = {}
        """Keys of a post that the site has given other names."""
        self.asked: list[tuple[float, str, dict[str, str]]] = []
        self.address = ""
        self.tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.address}"

    def files_asked(self) -> list[str]:
        return [path for _, path, _ in self.asked if path.startswith("/data/")]

    def answer(self, path: str, query: Query) -> tuple[int, bytes]:
        """Status and body of a call."""
        if path.startswith("/data/"):
            offer = next((each for each in self.offers if path == f"/data/{each.id}.png"), None)
            return (200, offer.data) if offer else (404, b"")
        status, value = _FAMILIES[self.family](self, path, query)
        return status, value if isinstance(value, bytes) else json.dumps(value).encode()

    def search(self, tags: list[str], start: int, count: int, words: dict[str, str]) -> list[Offer]:
        """Posts with all tags; `rating:x` and `safety:x` count as such."""
        names = [self.aliases.get(tag, tag) for tag in tags if ":" not in tag]
        letters = {word for tag in tags if ":" in tag for word in tag.partition(":")[2].split(",")}
        wanted = {ours for ours, word in words.items() if word in letters} if letters else set(words)
        found = [each for each in self.offers if set(names) <= {"1girl", *each.tags.split()} and each.rating in wanted]
        return found[start : start + count]

    def count(self, tag: str) -> int:
        return sum(tag in each.tags.split() for each in self.offers)

    def link(self, offer: Offer) -> str | None:
        return f"{self.url}/data/{offer.id}.png" if offer.file_url == "own" else offer.file_url

    def post(self, values: dict) -> dict:
        return {self.rename.get(key, key): value for key, value in values.items()}


def _danbooru(site: BooruSite, path: str, query: Query) -> tuple[int, object]:
    words = {"general": "g", "sensitive": "s", "questionable": "q", "explicit": "e"}
    if path == "/tags.json":
        name = query["search[name]"]
        known = site.count(name) or name in site.aliases
        return 200, [
            {"id": 1, "name": name, "post_count": site.count(name), "category": 4 * (name in site.characters)}
        ] if known else []
    if path == "/tag_aliases.json":
        name = query["search[antecedent_name]"]
        return 200, [{"consequent_name": site.aliases[name], "status": "active"}] if name in site.aliases else []
    tags = query["tags"].split()
    if len(tags) > 2:
        return 422, {"success": False, "message": "You cannot search for more than 2 tags at a time."}
    count = min(int(query.get("limit", 20)), 200)
    found = site.search(tags, (int(query.get("page", 1)) - 1) * count, count, words)
    return 200, [_danbooru_post(site, each, words) for each in found]


def _danbooru_post(site: BooruSite, each: Offer, words: dict[str, str]) -> dict:
    post = {
        "id": each.id,
        "rating": words[each.rating],
        "tag_string": each.tags,
        "image_width": 40,
        "image_height": 30,
        "file_size": len(each.data),
        "source": each.source,
        "parent_id": each.parent,
        "md5": each.md5,
        "file_url": site.link(each),
    }
    if each.file_url is None:
        del post["file_url"], post["md5"]
    return site.post(post)


def _moebooru(site: BooruSite, path: str, query: Query) -> tuple[int, object]:
    words = {"general": "s", "questionable": "q", "explicit": "e"}
    if path == "/tag.json":
        name = query["name"]
        tags = sorted({tag for each in site.offers for tag in each.tags.split() if name in tag})
        return 200, [{"id": 1, "name": tag, "count": site.count(tag), "type": 4 * (tag in site.characters)} for tag in tags]
    count = min(int(query.get("limit", 16)), 100)
    found = site.search(query["tags"].split(), (int(query.get("page", 1)) - 1) * count, count, words)
    posts = [
        {"id": e.id, "rating": words[e.rating], "tags": e.tags, "width": 40, "height": 30, "md5": e.md5, "file_size": len(e.data),
         "file_url": site.link(e), "source": e.source, "parent_id": e.parent, "created_at": 1700000000}
        for e in found
    ]  # fmt: skip
    return 200, [site.post(post) for post in posts]


def _gelbooru(site: BooruSite, path: str, query: Query) -> tuple[int, object]:
    assert path == "/index.php"
    if query["s"] == "tag":
        name = query["name"]
        rows = f'<tag type="{4 * (name in site.characters)}" count="{site.count(name)}" name="{name}" ambiguous="false" id="1"/>'
        return 200, f'<?xml version="1.0" encoding="UTF-8"?><tags type="array">{rows if site.count(name) else ""}</tags>'.encode()
    words = {word: word for word in ("general", "sensitive", "questionable", "explicit")}
    count = min(int(query.get("limit", 100)), 100)
    found = site.search(query["tags"].split(), int(query.get("pid", 0)) * count, count, words)
    posts = [
        site.post({"id": e.id, "rating": e.rating, "tags": e.tags, "width": 40, "height": 30, "hash": e.md5, "directory": 7,
                   "image": f"{e.id}.png", "file_url": site.link(e), "source": e.source, "parent_id": e.parent or 0})
        for e in found
    ]  # fmt: skip
    attributes = {"@attributes": {"limit": count, "offset": 0, "count": len(site.offers)}}
    return 200, attributes | ({"post": posts} if posts else {})


def _e621(site: BooruSite, path: str, query: Query) -> tuple[int, object]:
    words = {"general": "s", "questionable": "q", "explicit": "e"}
    if path == "/tags.json":
        name = query["search[name_matches]"]
        tag = {"id": 1, "name": name, "post_count": site.count(name), "category": 4 * (name in site.characters)}
        return 200, [tag] if site.count(name) else {"tags": []}
    if path == "/tag_aliases.json":
        name = query["search[antecedent_name]"]
        return 200, [{"consequent_name": site.aliases[name]}] if name in site.aliases else {"tag_aliases": []}
    count = min(int(query.get("limit", 75)), 320)
    found = site.search(query["tags"].split(), (int(query.get("page", 1)) - 1) * count, count, words)
    return 200, {"posts": [_e621_post(site, each, words) for each in found]}


def _e621_post(site: BooruSite, each: Offer, words: dict[str, str]) -> dict:
    file = {"width": 40, "height": 30, "ext": "png", "size": len(each.data), "md5": each.md5, "url": site.link(each)}
    tags = {"general": each.tags.split(), "character": []}
    more = {"sources": [each.source] if each.source else [], "relationships": {"parent_id": each.parent}}
    return site.post({"id": each.id, "rating": words[each.rating], "file": file, "tags": tags, **more})


def _szurubooru(site: BooruSite, path: str, query: Query) -> tuple[int, object]:
    words = {"general": "safe", "questionable": "sketchy", "explicit": "unsafe"}
    if path.startswith("/api/tag/"):
        name = unquote(path.removeprefix("/api/tag/"))
        real = site.aliases.get(name, name)
        if not site.count(real):
            return 404, {"name": "TagNotFoundError", "title": "Tag not found", "description": f"Tag {name!r} not found."}
        return 200, {"names": [real, name], "usages": site.count(real), "category": "default", "version": 1}
    query_text = re.sub(r"\\(.)", r"\1", query["query"])
    count = min(int(query.get("limit", 100)), 100)
    found = site.search(query_text.split(), int(query.get("offset", 0)), count, words)
    posts = [
        site.post({"id": e.id, "safety": words[e.rating], "type": "image", "contentUrl": f"data/{e.id}.png", "checksumMD5": e.md5,
                   "canvasWidth": 40, "canvasHeight": 30, "fileSize": len(e.data), "source": e.source or None,
                   "tags": [{"names": [t], "category": "default", "usages": 1} for t in e.tags.split()]})
        for e in found
    ]  # fmt: skip
    return 200, {"query": query["query"], "offset": 0, "limit": count, "total": len(site.offers), "results": posts}


_FAMILIES: dict[str, Callable[[BooruSite, str, Query], tuple[int, object]]] = {
    "danbooru": _danbooru,
    "moebooru": _moebooru,
    "gelbooru": _gelbooru,
    "e621": _e621,
    "szurubooru": _szurubooru,
}
FAMILIES = tuple(_FAMILIES)


@contextmanager
def serving(site: BooruSite) -> Iterator[BooruSite]:
    """The site, answering."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            site.asked.append((time.monotonic(), parts.path, dict(self.headers)))
            fault = next((each for start, each in site.faults.items() if parts.path.startswith(start) and each.times > 0), None)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            status, body = site.answer(parts.path, query)
            headers: dict[str, str] = {}
            if fault:
                fault.times -= 1
                status, headers = fault.status, fault.headers
                body = fault.body if fault.body is not None else body
            self.send_response(status)
            for key, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if fault and fault.cut:
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
                return
            for start in range(0, len(body), 256) if fault and fault.slow_s else (0,):
                self.wfile.write(body[start : start + 256] if fault and fault.slow_s else body)
                time.sleep(fault.slow_s if fault else 0)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if site.tls:
        server.socket = site.tls.wrap_socket(server.socket, server_side=True)
    site.address = f"127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
