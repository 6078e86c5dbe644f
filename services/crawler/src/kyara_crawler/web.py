"""Every byte that the crawler reads: allowed hosts at public addresses, in turn, no more than was asked for."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from fnmatch import fnmatch
from importlib.metadata import version

import httpx

from kyara_crawler.rates import Rates
from kyara_outside import NotPublic, PublicOnly, without_secrets

TRIES = 4
MOST_REDIRECTS = 5
_SERVER_ERROR = 500
_COME_BACK = (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS)
_LOGIN = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
_GONE = (httpx.codes.NOT_FOUND, httpx.codes.GONE)


class Unfetched(Exception):
    """A link cannot be read, for the reason that the message says."""


class Away(Unfetched):
    """The host does not answer now, however often it is asked."""


class Missing(Unfetched):
    """The host has nothing there."""


class Refused(Unfetched):
    """The host wants a login, or another one."""


@dataclass(frozen=True)
class Reach:
    """Where a request may lead, and how often."""

    hosts: tuple[str, ...]
    """Names, or patterns such as `*.example.org`."""
    per_second: float
    most_bytes: int


class Web:
    """Reads links. Use as an asynchronous context. `contact` is how a site's owner may reach whoever crawls."""

    def __init__(self, rates: Rates, contact: str, *, allow_private: bool, within_s: float, longest_wait_s: float) -> None:
        self._within_s = within_s
        self._longest_wait_s = longest_wait_s
        self._rates = rates
        self.user_agent = user_agent(contact)
        self._outside = PublicOnly(allow_private)
        self._client = httpx.AsyncClient(
            transport=self._outside,
            headers={"User-Agent": self.user_agent},
            timeout=within_s,
            trust_env=False,
        )

    async def __aenter__(self) -> "Web":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(
        self, url: str, reach: Reach, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """What a link answers, after redirects within `reach`, and tried again when the host says to come back.

        Raises Missing for what is not there, Refused where a login is asked for, Away when the host does not answer,
        Unfetched for all else.
        """
        where = said = without_secrets(url)
        for tried in range(TRIES):
            try:
                return await self._followed(httpx.URL(url, params=params) if params else httpx.URL(url), reach, headers or {})
            except _ComeBack as error:
                said, wait_s = str(error), 2.0**tried if error.seconds is None else error.seconds
                if wait_s > self._longest_wait_s:
                    raise Away(f"{where} {said}, and asks to come back in {wait_s:.0f} s only") from error
                self._rates.hold(error.host, wait_s)
            except (TimeoutError, httpx.TimeoutException):
                said = f"did not answer whole within {self._within_s:g} s"
            except NotPublic as error:
                raise Unfetched(str(error)) from error
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise Unfetched(f"{where} is no link: {error}") from error
            except httpx.HTTPError as error:
                said = f"cannot be read: {error or type(error).__name__}"
        raise Away(f"{where} {said}, {TRIES} times")

    @property
    def patience_s(self) -> float:
        """How long a host may take that was told to come back, and does."""
        return TRIES * self._within_s + self._longest_wait_s

    async def connection(self, host: str, port: int, reach: Reach) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """An open connection, in the host's turn, for somebody who speaks HTTP by himself. Raises Unfetched."""
        _check_reach(host, reach, host)
        await self._rates.turn(host, reach.per_second)
        refused: OSError | None = None
        try:
            for address in await self._outside.addresses(host):
                try:
                    async with asyncio.timeout(self._within_s):
                        return await asyncio.open_connection(address, port)
                except OSError as error:  # TimeoutError is one
                    refused = error
        except (NotPublic, httpx.ConnectError) as error:
            raise Unfetched(str(error)) from error
        raise Away(f"{host}:{port} takes no connection ({refused})")

    async def _followed(self, url: httpx.URL, reach: Reach, headers: Mapping[str, str]) -> bytes:
        for _ in range(MOST_REDIRECTS + 1):
            _check_reach(url.host, reach, without_secrets(str(url)))
            await self._rates.turn(url.host, reach.per_second)
            async with asyncio.timeout(self._within_s):
                answer = await self._answer(url, reach.most_bytes, headers)
            if isinstance(answer, bytes):
                return answer
            if answer.host != url.host:
                headers = {}  # they may hold a login, which is of that host alone
            url = answer
        raise Unfetched(f"{without_secrets(str(url))} redirects more than {MOST_REDIRECTS} times")

    async def _answer(self, url: httpx.URL, most_bytes: int, headers: Mapping[str, str]) -> bytes | httpx.URL:
        """The body, or where else to look."""
        async with self._client.stream("GET", url, headers=headers) as response:
            if response.next_request is not None:
                return response.next_request.url
            _check_status(response)
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > most_bytes:
                    raise Unfetched(f"{without_secrets(str(url))} is larger than the {most_bytes} bytes allowed")
            return bytes(body)


def user_agent(contact: str) -> str:
    """Who asks, and how to reach them."""
    name = f"kyara-crawler/{version('kyara-crawler')}"
    return f"{name} ({contact})" if contact else name


def _check_reach(host: str, reach: Reach, where: str) -> None:
    if not any(fnmatch(host, pattern) for pattern in reach.hosts):
        raise Unfetched(f"{where} is at none of the hosts {', '.join(reach.hosts)}")


class _ComeBack(Exception):
    """The host says to come back, in so many seconds if it says when."""

    def __init__(self, said: str, host: str, seconds: float | None) -> None:
        super().__init__(said)
        self.host = host
        self.seconds = seconds


def _check_status(response: httpx.Response) -> None:
    if response.is_success:
        return
    code = response.status_code
    said = f"answers {code} {response.reason_phrase}"
    if code >= _SERVER_ERROR or code in _COME_BACK:
        raise _ComeBack(said, response.url.host, _seconds(response.headers.get("Retry-After", "")))
    where = f"{without_secrets(str(response.url))} {said}"
    if code in _LOGIN:
        raise Refused(where)
    raise (Missing if code in _GONE else Unfetched)(where)


def _seconds(retry_after: str) -> float | None:
    """What the header Retry-After says: seconds, or a date."""
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
