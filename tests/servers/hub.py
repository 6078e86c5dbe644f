"""A local Hugging Face Hub: the calls that `huggingface_hub` makes to read and to publish a repository.

Test-only. It speaks what the public Hub speaks, as far as Kyara goes: create a repository, `validate-yaml`,
`preupload`, LFS batch with single or multi-part PUT and `verify`, the ndjson `commit`, repository info, tree,
and `resolve` with ETag, Range, `X-Repo-Commit`, `X-Linked-*` and the redirect of large files to another
origin. Histories are kept, so that a pinned revision goes on answering after later commits. All in memory.

    with LocalHub(token="hf_test") as hub:
        revision = hub.add("model", "kyara/lora", {"README.md": b"..."})
        HfApi(endpoint=hub.endpoint, token="hf_test")
        hub.files("model", "kyara/lora")            # path -> bytes, of `main` or of any revision

`chunk_size` switches LFS uploads to multi-part; `cut_after` breaks the next large download after that many
bytes; `fail(method, path, status)` answers the next matching request with an error; `hold(method, path)` keeps one
waiting, so that its client can be killed meanwhile; `requests` is what was asked so far.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LFS_SUFFIXES = (".safetensors", ".onnx", ".bin", ".pt", ".ckpt", ".zip", ".tar", ".parquet", ".npz", ".7z")
# Letters and digits with single separators between them, but that `__` may stand; ASCII only, at most 96 characters.
REPO_NAME = re.compile(r"(?=.{1,96}$)[A-Za-z0-9_](?:[A-Za-z0-9_]|[.-](?=[A-Za-z0-9_]))*")
LFS_FROM_BYTES = 10 * 1024 * 1024
ROUTE_REPO = r"/(?P<prefix>datasets/)?(?P<repo>[\w.-]+/[\w.-]+)"
ROUTE_API = r"/api/(?P<kind>model|dataset)s/(?P<repo>[\w.-]+/[\w.-]+)"


@dataclass(frozen=True)
class Entry:
    """A file of a commit; `lfs` files answer with the sha256 as ETag and by way of a redirect."""

    data: bytes
    lfs: bool

    @property
    def git_oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def oid(self) -> str:
        return self.sha256 if self.lfs else self.git_oid


@dataclass
class Repository:
    kind: str
    name: str
    private: bool = False
    commits: dict[str, dict[str, Entry]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    head: str = ""

    def commit(self, files: Mapping[str, Entry], message: str) -> str:
        digest = hashlib.sha1(f"{self.kind}/{self.name}\n{self.head}\n{message}\n".encode())
        for path, entry in sorted(files.items()):
            digest.update(f"{path} {entry.oid}\n".encode())
        self.head = digest.hexdigest()
        self.commits[self.head] = dict(files)
        self.messages.append(message)
        return self.head

    @property
    def files(self) -> dict[str, Entry]:
        return dict(self.commits[self.head])

    def resolve(self, revision: str) -> str | None:
        revision = self.head if revision == "main" else revision
        return revision if revision in self.commits else None


class HubError(Exception):
    """An answer other than success; `code` is the Hub's X-Error-Code."""

    def __init__(self, status: int, message: str, code: str = "", **extra: str) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.extra = status, message, code, extra


class Held:
    """A request that waits for its answer, and gets none."""

    def __init__(self, method: str, path: str, skip: int) -> None:
        self.method, self.path, self.skip = method, path, skip
        self.reached = threading.Event()
        """Set once the request is here."""
        self._dropped = threading.Event()

    def drop(self) -> None:
        """Break the connection off."""
        self._dropped.set()

    def wait(self) -> None:
        self.reached.set()
        self._dropped.wait(120)


class LocalHub:
    """A hub on a free loopback port; use it as a context manager."""

    def __init__(self, token: str | None = None, chunk_size: int | None = None) -> None:
        self.token = token
        self.chunk_size = chunk_size
        self.cut_after: int | None = None
        self.requests: list[tuple[str, str]] = []
        self.ranges: list[str] = []
        self.repos: dict[tuple[str, str], Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.lock = threading.RLock()
        self._failures: list[tuple[str, str, int]] = []
        self._held: list[Held] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        # Large files come from another origin, as on the public Hub: its name differs, its port does not.
        self.storage = f"http://localhost:{self._server.server_port}"
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> LocalHub:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, kind: str, name: str, files: Mapping[str, bytes], message: str = "add") -> str:
        """Commit `files` over what the repository has (creating it) and return the revision."""
        with self.lock:
            repo = self.repos.setdefault((kind, name), self._new_repository(kind, name))
            added = {path: _entry(path, data) for path, data in files.items()}
            return repo.commit(repo.files | added, message)

    def files(self, kind: str, name: str, revision: str = "main") -> dict[str, bytes]:
        """What a repository holds at a revision."""
        repo = self.repos[kind, name]
        commit = repo.resolve(revision)
        assert commit is not None, f"{name} has no revision {revision}"
        return {path: entry.data for path, entry in repo.commits[commit].items()}

    def fail(self, method: str, path: str, status: int) -> None:
        """Answer the next request with this method, and a path that matches the pattern, with `status`."""
        self._failures.append((method, path, status))

    def hold(self, method: str, path: str, skip: int = 0) -> Held:
        """Keep a request with this method, and a path that matches the pattern, waiting; the first `skip` go through."""
        held = Held(method, path, skip)
        self._held.append(held)
        return held

    # --- what the handler asks -------------------------------------------------------------------

    def take_held(self, method: str, path: str) -> Held | None:
        with self.lock:
            for held in self._held:
                if held.method == method and re.search(held.path, path):
                    if held.skip == 0:
                        self._held.remove(held)
                        return held
                    held.skip -= 1
        return None

    def take_failure(self, method: str, path: str) -> int | None:
        with self.lock:
            for failure in self._failures:
                if failure[0] == method and re.search(failure[1], path):
                    self._failures.remove(failure)
                    return failure[2]
        return None

    def repository(self, kind: str, name: str) -> Repository:
        if (kind, name) not in self.repos:
            raise HubError(404, "Repository not found", "RepoNotFound")
        return self.repos[kind, name]

    def commit_of(self, kind: str, name: str, revision: str) -> tuple[Repository, str]:
        repo = self.repository(kind, name)
        commit = repo.resolve(revision)
        if commit is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return repo, commit

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        kind, name = body.get("type", "model"), f"{body.get('organization') or 'user'}/{body['name']}"
        url = f"{self.endpoint}/{'datasets/' if kind == 'dataset' else ''}{name}"
        if not REPO_NAME.fullmatch(body["name"]) or body["name"].endswith(".git"):
            raise HubError(400, f"Invalid repo name: {body['name']}")
        if (kind, name) in self.repos:
            raise HubError(409, f"You already created this {kind} repo", url=url)
        repo = self._new_repository(kind, name)
        repo.private = body.get("visibility") == "private" or bool(body.get("private"))
        self.repos[kind, name] = repo
        return {"url": url, "name": name, "id": name}

    def apply(self, repo: Repository, lines: list[dict[str, Any]]) -> str:
        """One commit from the ndjson body of `POST .../commit/{revision}`."""
        header = next(line["value"] for line in lines if line["key"] == "header")
        parent = header.get("parentCommit")
        if parent is not None and parent != repo.head:
            raise HubError(412, f"A commit has happened since. Parent {parent}, head {repo.head}.")
        files = repo.files
        for line in lines:
            key, value = line["key"], line["value"]
            if key == "file":
                files[value["path"]] = Entry(base64.b64decode(value["content"]), lfs=False)
            elif key == "lfsFile":
                if value["oid"] not in self.objects:
                    raise HubError(400, f"LFS object {value['oid']} of {value['path']} was never uploaded")
                files[value["path"]] = Entry(self.objects[value["oid"]], lfs=True)
            elif key == "deletedFile":
                if files.pop(value["path"], None) is None:
                    raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
            elif key == "deletedFolder":
                folder = value["path"].rstrip("/") + "/"
                files = {path: entry for path, entry in files.items() if not path.startswith(folder)}
        return repo.commit(files, header["summary"])

    def _new_repository(self, kind: str, name: str) -> Repository:
        repo = Repository(kind, name)
        repo.commit({".gitattributes": Entry(b"*.safetensors filter=lfs\n", lfs=False)}, "initial commit")
        return repo


def _entry(path: str, data: bytes) -> Entry:
    return Entry(data, lfs=_goes_to_lfs(path, len(data), data[:512]))


def _goes_to_lfs(path: str, size: int, sample: bytes) -> bool:
    return size > 0 and (path.endswith(LFS_SUFFIXES) or size > LFS_FROM_BYTES or b"\0" in sample)


def _handler_of(hub: LocalHub) -> type[BaseHTTPRequestHandler]:
    class Bound(_Handler):
        pass

    Bound.hub = hub
    return Bound


class _Handler(BaseHTTPRequestHandler):
    """Routes of the Hub; every answer carries Content-Length, so that connections are kept."""

    hub: LocalHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.body = self._read_body()
        self.hub.requests.append((self.command, path))
        if held := self.hub.take_held(self.command, path):
            held.wait()
            self.close_connection = True
            return
        try:
            if status := self.hub.take_failure(self.command, path):
                raise HubError(status, f"asked to fail with {status}")
            for method, pattern, answer in ROUTES:
                if method == self.command and (match := re.fullmatch(pattern, path)):
                    answer(self, **match.groupdict())
                    return
            raise HubError(404, f"no such route: {self.command} {path}", "EntryNotFound")
        except HubError as error:
            headers = {"X-Error-Message": error.message}
            if error.code:
                headers["X-Error-Code"] = error.code
            self._send(error.status, json.dumps({"error": error.message, **error.extra}).encode(), headers)
        except BrokenPipeError:
            self.close_connection = True

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode())

    def _authorise(self) -> None:
        if self.hub.token is None:
            return
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            raise HubError(401, "Invalid credentials in Authorization header")

    # --- writing -----------------------------------------------------------------------------------

    def whoami(self) -> None:
        self._authorise()
        role = {"type": "access_token", "accessToken": {"displayName": "test", "role": "write"}}
        self._json({"type": "user", "name": "user", "fullname": "user", "orgs": [], "auth": role})

    def create_repo(self) -> None:
        self._authorise()
        with self.hub.lock:
            self._json(self.hub.create(json.loads(self.body)))

    def validate_yaml(self) -> None:
        text = json.loads(self.body)["content"]
        broken = text.startswith("---") and "\n---" not in text[3:]
        errors = [{"message": "the metadata block at the top of README.md is not closed"}] if broken else []
        self._send(400 if broken else 200, json.dumps({"errors": errors, "warnings": []}).encode())

    def preupload(self, kind: str, repo: str, revision: str) -> None:
        self._authorise()
        repository, commit = self.hub.commit_of(kind, repo, revision)
        files = repository.commits[commit]
        self._json(
            {
                "files": [
                    {
                        "path": item["path"],
                        "uploadMode": "lfs"
                        if _goes_to_lfs(item["path"], item["size"], base64.b64decode(item["sample"]))
                        else "regular",
                        "shouldIgnore": False,
                        "oid": files[item["path"]].oid if item["path"] in files else None,
                    }
                    for item in json.loads(self.body)["files"]
                ]
            }
        )

    def lfs_batch(self, prefix: str | None, repo: str) -> None:
        self._authorise()
        self.hub.repository("dataset" if prefix else "model", repo)
        request = json.loads(self.body)
        multipart = self.hub.chunk_size is not None and "multipart" in request["transfers"]
        self._json(
            {
                "transfer": "multipart" if multipart else "basic",
                "objects": [self._lfs_object(item["oid"], item["size"], multipart) for item in request["objects"]],
            }
        )

    def _lfs_object(self, oid: str, size: int, multipart: bool) -> dict[str, Any]:
        found: dict[str, Any] = {"oid": oid, "size": size}
        if oid in self.hub.objects:
            return found  # already there: no action, the client skips it
        upload: dict[str, Any] = {"href": f"{self.hub.storage}/storage/{oid}"}
        if multipart and self.hub.chunk_size is not None and size > self.hub.chunk_size:
            parts = -(-size // self.hub.chunk_size)
            upload = {
                "href": f"{self.hub.endpoint}/complete/{oid}",
                "header": {"chunk_size": str(self.hub.chunk_size)}
                | {f"{n:05d}": f"{self.hub.storage}/storage/{oid}/{n}" for n in range(1, parts + 1)},
            }
        return found | {"actions": {"upload": upload, "verify": {"href": f"{self.hub.endpoint}/verify/{oid}"}}}

    def put_object(self, oid: str, part: str | None = None) -> None:
        with self.hub.lock:
            if part is not None:
                self.hub.parts.setdefault(oid, {})[int(part)] = self.body
            elif hashlib.sha256(self.body).hexdigest() != oid:
                raise HubError(400, f"the bytes do not have the digest {oid}")
            else:
                self.hub.objects[oid] = self.body
        self._send(200, headers={"ETag": f'"{hashlib.md5(self.body).hexdigest()}"'})

    def complete(self, oid: str) -> None:
        numbers = [part["partNumber"] for part in json.loads(self.body)["parts"]]
        with self.hub.lock:
            parts = self.hub.parts.pop(oid, {})
            data = b"".join(parts.get(number, b"") for number in numbers)
            if hashlib.sha256(data).hexdigest() != oid:
                raise HubError(400, f"the parts do not have the digest {oid}")
            self.hub.objects[oid] = data
        self._json({})

    def verify(self, oid: str) -> None:
        self._authorise()
        size = json.loads(self.body)["size"]
        if oid not in self.hub.objects or len(self.hub.objects[oid]) != size:
            raise HubError(404, f"object {oid} of {size} bytes is not here")
        self._json({})

    def commit(self, kind: str, repo: str, revision: str) -> None:
        self._authorise()
        with self.hub.lock:
            repository, _ = self.hub.commit_of(kind, repo, revision)
            oid = self.hub.apply(repository, [json.loads(line) for line in self.body.splitlines()])
        prefix = "datasets/" if kind == "dataset" else ""
        self._json(
            {
                "success": True,
                "commitOid": oid,
                "commitUrl": f"{self.hub.endpoint}/{prefix}{repo}/commit/{oid}",
            }
        )

    # --- reading -----------------------------------------------------------------------------------

    def info(self, kind: str, repo: str, revision: str = "main") -> None:
        repository, commit = self.hub.commit_of(kind, repo, revision)
        siblings = [{"rfilename": path} for path in sorted(repository.commits[commit])]
        self._json(
            {
                "_id": commit,
                "id": repo,
                "sha": commit,
                "private": repository.private,
                "siblings": siblings,
                "disabled": False,
                "gated": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
            }
        )

    def tree(self, kind: str, repo: str, revision: str, folder: str | None) -> None:
        repository, commit = self.hub.commit_of(kind, repo, revision)
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() == "true"
        start = f"{folder}/" if folder else ""
        found: list[dict[str, Any]] = []
        folders: set[str] = set()
        for path, entry in sorted(repository.commits[commit].items()):
            if not path.startswith(start):
                continue
            names = path.removeprefix(start).split("/")
            depth = len(names) if recursive else min(2, len(names))
            folders.update(start + "/".join(names[:n]) for n in range(1, depth))
            if recursive or len(names) == 1:
                found.append(_tree_entry(path, entry))
        found += [{"type": "directory", "path": name, "oid": "0" * 40, "size": 0} for name in sorted(folders)]
        self._json(found)

    def paths_info(self, kind: str, repo: str, revision: str) -> None:
        repository, commit = self.hub.commit_of(kind, repo, revision)
        text = self.body.decode()
        asked = json.loads(text)["paths"] if text.startswith("{") else parse_qs(text)["paths"]
        files = repository.commits[commit]
        self._json([_tree_entry(path, files[path]) for path in asked if path in files])

    def resolve(self, prefix: str | None, repo: str, revision: str, file: str) -> None:
        repository, commit = self.hub.commit_of("dataset" if prefix else "model", repo, revision)
        if repository.private:
            self._authorise()
        entry = repository.commits[commit].get(file)
        if entry is None:
            raise HubError(404, "Entry not found", "EntryNotFound")
        headers = {"X-Repo-Commit": commit, "ETag": f'"{entry.oid}"', "Accept-Ranges": "bytes"}
        if not entry.lfs:
            self._bytes(entry.data, headers)
            return
        self.hub.objects.setdefault(entry.sha256, entry.data)
        self._send(
            302,
            headers=headers
            | {
                "X-Linked-Etag": f'"{entry.sha256}"',
                "X-Linked-Size": str(len(entry.data)),
                "Location": f"{self.hub.storage}/storage/{entry.sha256}",
            },
        )

    def get_object(self, oid: str) -> None:
        if self.headers.get("Authorization"):
            raise HubError(400, "the token must not leave the Hub's own origin")
        if oid not in self.hub.objects:
            raise HubError(404, "no such object")
        self._bytes(self.hub.objects[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"}, may_cut=True)

    def _bytes(self, data: bytes, headers: dict[str, str], may_cut: bool = False) -> None:
        """Send the whole or the range asked for; with `cut_after` set, break off once in the middle."""
        status, whole = 200, data
        headers = headers | {"Content-Type": "application/octet-stream"}
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            self.hub.ranges.append(match[0])
            status, start = 206, int(match[1])
            if start >= len(whole):
                raise HubError(416, "range past the end")
            data = whole[start : int(match[2]) + 1] if match[2] else whole[start:]
            headers["Content-Range"] = f"bytes {start}-{start + len(data) - 1}/{len(whole)}"
        if may_cut and self.hub.cut_after is not None and self.command == "GET":
            cut, self.hub.cut_after = self.hub.cut_after, None
            self.send_response(status)
            for key, value in (headers | {"Content-Length": str(len(data))}).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data[:cut])
            self.close_connection = True
            return
        self._send(status, data, headers)


def _tree_entry(path: str, entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "file", "path": path, "size": len(entry.data), "oid": entry.git_oid}
    if entry.lfs:
        found["lfs"] = {"oid": entry.sha256, "size": len(entry.data), "pointerSize": 134}
    return found


ROUTES: tuple[tuple[str, str, Callable[..., None]], ...] = (
    ("GET", r"/api/whoami-v2", _Handler.whoami),
    ("POST", r"/api/repos/create", _Handler.create_repo),
    ("POST", r"/api/validate-yaml", _Handler.validate_yaml),
    ("POST", ROUTE_API + r"/preupload/(?P<revision>[^/]+)", _Handler.preupload),
    ("POST", ROUTE_API + r"/commit/(?P<revision>[^/]+)", _Handler.commit),
    ("POST", ROUTE_API + r"/paths-info/(?P<revision>[^/]+)", _Handler.paths_info),
    ("POST", ROUTE_REPO + r"\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("PUT", r"/storage/(?P<oid>[0-9a-f]{64})(?:/(?P<part>\d+))?", _Handler.put_object),
    ("POST", r"/complete/(?P<oid>[0-9a-f]{64})", _Handler.complete),
    ("POST", r"/verify/(?P<oid>[0-9a-f]{64})", _Handler.verify),
    ("GET", ROUTE_API, _Handler.info),
    ("GET", ROUTE_API + r"/revision/(?P<revision>[^/]+)", _Handler.info),
    ("GET", ROUTE_API + r"/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?", _Handler.tree),
    ("GET", ROUTE_REPO + r"/resolve/(?P<revision>[^/]+)/(?P<file>.+)", _Handler.resolve),
    ("HEAD", ROUTE_REPO + r"/resolve/(?P<revision>[^/]+)/(?P<file>.+)", _Handler.resolve),
    ("GET", r"/storage/(?P<oid>[0-9a-f]{64})", _Handler.get_object),
    ("HEAD", r"/storage/(?P<oid>[0-9a-f]{64})", _Handler.get_object),
)
