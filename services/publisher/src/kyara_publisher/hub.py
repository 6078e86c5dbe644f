"""Publishing to a hub: some commits after one another, of which a killed attempt loses none.

What is there already is never sent again: the hub is asked for each file first, also for those that were uploaded
for a commit that never came. So another attempt goes on where the last one was killed, and publishing the same twice
makes no new commit.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from kyara_artifacts.store import full_disk_said
from kyara_publisher.repository import Files, Receipt, in_order, write_file
from kyara_publisher.settings import Context
from kyara_stage import StageError

FILES_A_COMMIT = 100
"""Commits of more files run into the hub's time limit."""
BYTES_A_COMMIT = 2 << 30
"""Also about the room that an attempt needs on its disk, above the largest file."""
_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|[._-](?=[A-Za-z0-9])){0,95}")
_LONGEST_NAME = 80


def to_hub(
    ctx: Context, files: Files, api: HfApi, owner: str, name: str, kind: Literal["model", "dataset"], private: bool
) -> Receipt:
    """Commit the files to a repository of `owner` on a hub, the README last.

    Raises StageError: INVALID_ARGUMENT when no owner can be called so, UNAVAILABLE when the hub is away,
    FAILED_PRECONDITION when it refuses.
    """
    if not _OWNER.fullmatch(owner):
        raise StageError.invalid(f"no hub has an owner called {owner!r}; give a user or an organisation, such as hub:someone")
    repository = f"{owner}/{hub_name(name)}"
    digests: dict[str, str] = {}
    with _refusals_said(api, repository):
        api.create_repo(repository, repo_type=kind, private=private, exist_ok=True)
    for batch in _batches(ctx, files):
        with _refusals_said(api, repository):
            api.create_commit(repository, batch, commit_message=f"Publish {repository}", repo_type=kind)
        digests |= {each.path_in_repo: each.upload_info.sha256.hex() for each in batch}
    return {"where": f"{api.endpoint}/{'datasets/' if kind == 'dataset' else ''}{repository}", "files": digests}


def hub_name(name: str) -> str:
    """`name` as hubs allow it: ASCII letters, digits and single `-._` between them.

    A name that loses something on the way gets a piece of its digest, so that no two share a repository.
    """
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9]+", lambda run: run[0] if run[0] in (".", "_", "-") else "_", ascii_only)
    plain = words.removesuffix(".git").strip("._-")[:_LONGEST_NAME].strip("._-")
    if plain == name:
        return name
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("-")


def _batches(ctx: Context, files: Files) -> Iterator[list[CommitOperationAdd]]:
    """The files, a commit's worth at a time, each in the scratch folder until the next batch is asked for."""
    batch: list[CommitOperationAdd] = []
    for number, path in enumerate(ctx.track(in_order(files), "publishing", "files"), 1):
        made = ctx.scratch / f"{len(batch):03}"
        with full_disk_said(ctx.scratch):
            write_file(ctx.store, files[path], made)
        batch.append(CommitOperationAdd(path, made))
        if len(batch) == FILES_A_COMMIT or number == len(files) or sum(each.upload_info.size for each in batch) >= BYTES_A_COMMIT:
            yield batch
            for place in range(len(batch)):
                (ctx.scratch / f"{place:03}").unlink()
            batch = []


@contextmanager
def _refusals_said(api: HfApi, repository: str) -> Iterator[None]:
    """Turn what goes wrong between here and the hub into a StageError that names it."""
    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        kind_of_error = StageError.unavailable if status == 429 or status >= 500 or status == 0 else StageError.precondition
        raise kind_of_error(f"the hub refused {repository}: {error}") from error
    except (httpx2.TransportError, ConnectionError) as error:
        raise StageError.unavailable(f"the hub at {api.endpoint} does not answer: {error}") from error
