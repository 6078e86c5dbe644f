"""Where a repository goes: a folder, or a repository on a hub. Publishing the same twice changes nothing."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Literal

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from kyara_artifacts import Store
from kyara_publisher.repository import Files, content, safe_name
from kyara_stage import StageError

FILES_A_COMMIT = 200


def to_folder(store: Store, files: Files, folder: Path, name: str) -> str:
    """Write the files under `folder/name`, each whole or not at all; gives where. Files that are right already stay."""
    root = folder / safe_name(name)
    for path in sorted(files):
        data, target = content(store, files[path]), root / path
        if target.is_file() and target.stat().st_size == len(data) and target.read_bytes() == data:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as part:
            part.write(data)
            part.flush()
            os.fsync(part.fileno())
        Path(part.name).chmod(0o644)
        Path(part.name).replace(target)
    return str(root)


def to_hub(
    store: Store, files: Files, api: HfApi, owner: str, name: str, kind: Literal["model", "dataset"], private: bool
) -> str:
    """Commit the files to `owner/name` on a hub, some hundred a commit, the README last; gives where.

    Raises StageError: UNAVAILABLE when the hub is away, FAILED_PRECONDITION when it refuses.
    """
    repository = f"{safe_name(owner)}/{safe_name(name).replace(' ', '_')}"
    # Until the README is there, nobody takes a half of it for the whole.
    paths = sorted(files, key=lambda path: (path == "README.md", path))
    try:
        api.create_repo(repository, repo_type=kind, private=private, exist_ok=True)
        for start in range(0, len(paths), FILES_A_COMMIT):
            chunk = paths[start : start + FILES_A_COMMIT]
            api.create_commit(
                repository,
                [CommitOperationAdd(path, content(store, files[path])) for path in chunk],
                commit_message=f"Publish {name}",
                repo_type=kind,
            )
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        kind_of_error = StageError.unavailable if status == 429 or status >= 500 or status == 0 else StageError.precondition
        raise kind_of_error(f"the hub refused {repository}: {error}") from error
    except (httpx2.TransportError, OSError) as error:
        raise StageError.unavailable(f"the hub at {api.endpoint} does not answer: {error}") from error
    return f"{api.endpoint}/{'datasets/' if kind == 'dataset' else ''}{repository}"


def digests(files: Files) -> dict[str, str]:
    """SHA-256 of every file, for the receipt."""
    return {
        path: hashlib.sha256(file).hexdigest() if isinstance(file, bytes) else file.sha256 for path, file in sorted(files.items())
    }
