"""Fetch a production model from the Hugging Face Hub: the pinned revision, resumable, every digest checked.

The hub is the one that HF_ENDPOINT names, or huggingface.co. A file grows under `<name>.<revision>.part` and gets its
own name only when its digest is right, so that a folder never holds half a file, and a pull that was stopped (even by kill -9)
goes on where it was. What was fetched is recorded in `pins.json` beside the files.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
from huggingface_hub import constants, get_hf_file_metadata, get_session, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status
from pydantic import BaseModel, ConfigDict, ValidationError

from kyara_inference.catalogue import PINS, ModelEntry, ModelFile

CHUNK = 1 << 20
# A connection that breaks is taken up again this often without a byte of progress in between.
ATTEMPTS = 4
WAIT_S = 0.5

OnProgress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are here, and its size (0 while that is not known)."""


class PullError(Exception):
    """The model could not be fetched; the message says why and what to do."""


class Pins(BaseModel):
    """What a model's folder holds: the commit it came from, and the digest of each file."""

    model_config = ConfigDict(extra="forbid")

    repo: str
    revision: str
    files: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> "Pins | None":
        """The record in `folder`, if there is one. Raises PullError when it is damaged."""
        path = folder / PINS
        if not path.exists():
            return None
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise PullError(f"{path} is damaged: {error}; delete the folder and pull again") from error

    def write(self, folder: Path) -> None:
        """Record it, whole or not at all."""
        part = folder / f"{PINS}.part"
        part.write_text(json.dumps(self.model_dump(), indent=2, sort_keys=True) + "\n")
        part.replace(folder / PINS)


def pull(
    entry: ModelEntry,
    models: Path,
    *,
    pin: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """Fetch `entry` into `models / entry.name` and give that folder; what is there and right is not fetched again.

    An entry that the catalogue does not pin is refused, unless an earlier pull recorded its pins or `pin` says to
    take what the hub has now and record it. `endpoint` and `token` default to huggingface_hub's own (HF_ENDPOINT,
    HF_TOKEN). Raises PullError.
    """
    if entry.repo is None:
        raise PullError(f"{entry.name} is shipped with kyara-miniature; there is nothing to fetch")
    folder = models / entry.name
    folder.mkdir(parents=True, exist_ok=True)
    recorded = Pins.read(folder)
    known = {
        entry.local_name(file): file.sha256 or (recorded.files.get(entry.local_name(file)) if recorded else None)
        for file in entry.files
    }
    revision = entry.revision or (recorded.revision if recorded else None)
    if not pin and (revision is None or not all(known.values())):
        missing = "its revision" if revision is None else "the digest of each of its files"
        raise PullError(
            f"{entry.name} is not pinned: the catalogue does not know {missing}. Look at "
            f"{endpoint or constants.ENDPOINT}/{entry.repo}, then run `kyara models pull {entry.name} --pin` "
            "to take what is there now and record it"
        )
    hub = _Hub(entry, endpoint, token, on_progress or (lambda name, done, size: None))
    found: dict[str, str] = {}
    for file in entry.files:
        name = entry.local_name(file)
        if known[name] is None or not _is(folder / name, known[name]):
            revision = revision or hub.revision(file)
            hub.fetch(file, revision, folder / name, known[name])
        found[name] = known[name] or _sha256(folder / name)
    if revision is None:
        revision = hub.revision(entry.files[0])
    Pins(repo=entry.repo, revision=revision, files=found).write(folder)
    return folder


def commit_of(entry: ModelEntry, revision: str, *, endpoint: str | None = None, token: str | None = None) -> str:
    """The commit that `revision`, a branch, a tag or a commit of the entry's repository, is at now; its first file must be there.

    Raises PullError.
    """
    return _Hub(entry, endpoint, token, lambda name, done, size: None).revision(entry.files[0], revision)


class _Hub:
    """The hub, as far as one model goes; every error leaves as PullError."""

    def __init__(self, entry: ModelEntry, endpoint: str | None, token: str | None, on_progress: OnProgress) -> None:
        assert entry.repo is not None
        self._name = entry.name
        self._repo: str = entry.repo
        self._local_name = entry.local_name
        self._endpoint = endpoint or constants.ENDPOINT
        self._token = token
        self._on_progress = on_progress

    def revision(self, file: ModelFile, at: str = "main") -> str:
        """The commit that the branch, tag or commit `at` is at now."""
        return self._metadata(file, at)[0]

    def fetch(self, file: ModelFile, revision: str, target: Path, sha256: str | None) -> None:
        """Bring one file here; nothing appears at `target` unless its digest is right."""
        _, size = self._metadata(file, revision)
        part = target.with_name(f"{target.name}.{revision[:12]}.part")
        target.parent.mkdir(parents=True, exist_ok=True)
        attempts = ATTEMPTS
        while (before := part.stat().st_size if part.exists() else 0) < size or size == 0:
            try:
                self._stream(file, revision, part, size)
                break
            except (httpx2.TransportError, HfHubHTTPError) as error:
                attempts = ATTEMPTS if part.exists() and part.stat().st_size > before else attempts - 1
                if attempts == 0:
                    raise PullError(
                        f"{self._name}: {self._endpoint} broke off while sending {file.path} ({error}); "
                        f"run the same command again, it goes on from byte {before}"
                    ) from error
                time.sleep(WAIT_S)
        got = _sha256(part)
        if sha256 is not None and got != sha256:
            part.unlink()
            raise PullError(
                f"{self._name}: {file.path} at {revision} has the digest {got}, not {sha256}: the hub at "
                f"{self._endpoint} sends something else than what is pinned; nothing was kept"
            )
        part.replace(target)

    def _stream(self, file: ModelFile, revision: str, part: Path, size: int) -> None:
        begin = part.stat().st_size if part.exists() else 0
        headers = build_hf_headers(token=self._token) | {"Accept-Encoding": "identity"}
        if begin:
            headers["Range"] = f"bytes={begin}-"
        url = hf_hub_url(self._repo, file.path, revision=revision, endpoint=self._endpoint)
        # The session follows to the storage host and leaves the token behind when the host changes.
        with get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=60) as response:
            hf_raise_for_status(response)
            done = begin if response.status_code == 206 else 0
            with part.open("ab" if done else "wb") as out:
                for chunk in response.iter_bytes(CHUNK):
                    out.write(chunk)
                    done += len(chunk)
                    self._on_progress(self._local_name(file), done, size)
                out.flush()
                os.fsync(out.fileno())

    def _metadata(self, file: ModelFile, revision: str) -> tuple[str, int]:
        """Commit and size of a file."""
        where = f"{self._name}: {self._repo}@{revision} on {self._endpoint}"
        url = hf_hub_url(self._repo, file.path, revision=revision, endpoint=self._endpoint)
        try:
            found = get_hf_file_metadata(url, token=self._token, endpoint=self._endpoint)
        except GatedRepoError as error:
            raise PullError(f"{where} asks you to accept its terms: do so on its page and set HF_TOKEN") from error
        except RevisionNotFoundError as error:
            raise PullError(f"{where}: there is no such revision; was the repository rewritten?") from error
        except EntryNotFoundError as error:
            raise PullError(f"{where} has no file {file.path}") from error
        except RepositoryNotFoundError as error:
            raise PullError(f"{where}: no such repository, or it is private: then set HF_TOKEN") from error
        except (HfHubHTTPError, httpx2.TransportError) as error:
            raise PullError(f"{where} cannot be reached: {error}; is HF_ENDPOINT right?") from error
        if found.commit_hash is None:
            raise PullError(f"{where} answers without X-Repo-Commit: this is no Hugging Face Hub")
        return found.commit_hash, found.size or 0


def _is(path: Path, sha256: str | None) -> bool:
    return path.is_file() and _sha256(path) == sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
