"""Ray's job API over HTTP, as documented under "Ray Jobs REST API": the four calls that a stage needs.

The token is read as Ray itself does, from RAY_AUTH_TOKEN or the file that RAY_AUTH_TOKEN_PATH names, for every
call, so that a rotated token is taken up.
"""

import os
from pathlib import Path
from typing import Any, Self

import httpx

TIMEOUT_S = 15.0
ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})


class RayUnreachableError(Exception):
    """Ray's dashboard does not answer, or not as it should."""


class RayApi:
    """The job API of the Ray cluster whose dashboard is at `address` (http://host:port)."""

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def submit(self, submission: str, entrypoint: str) -> None:
        """Start a job; nothing happens when one of this name is there."""
        answer = await self._call("POST", "/api/jobs/", {"submission_id": submission, "entrypoint": entrypoint})
        if answer.is_error and await self.job(submission) is None:
            raise RayUnreachableError(f"Ray at {self._address} takes no job: {answer.status_code} {answer.text[-500:]}")

    async def job(self, submission: str) -> dict[str, Any] | None:
        """What Ray knows of a job (`status`, `message`, ...), or None when it does not know it."""
        answer = await self._call("GET", f"/api/jobs/{submission}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return self._checked(answer).json()

    async def stop(self, submission: str) -> None:
        """Stop a job and all that it started; nothing happens when there is none."""
        await self._call("POST", f"/api/jobs/{submission}/stop")

    async def logs(self, submission: str) -> str:
        """What the job's entrypoint wrote."""
        answer = await self._call("GET", f"/api/jobs/{submission}/logs")
        return answer.json()["logs"] if answer.is_success else ""

    async def _call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        try:
            answer = await self._client.request(method, self._address + path, json=body, headers=_authorization())
        except httpx.HTTPError as error:
            raise RayUnreachableError(f"Ray at {self._address} does not answer: {error or type(error).__name__}") from error
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise RayUnreachableError(f"Ray at {self._address} refuses the token: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH")
        return answer

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            raise RayUnreachableError(f"Ray at {self._address} answers {answer.status_code}: {answer.text[-500:]}")
        return answer


def _authorization() -> dict[str, str]:
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    token = os.environ.get("RAY_AUTH_TOKEN") or (Path(path).read_text().strip() if path else "")
    return {"Authorization": f"Bearer {token}"} if token else {}
