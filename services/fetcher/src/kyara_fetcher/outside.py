"""Small files from links that users give: http and https only, public addresses only, a size and a time at most."""

import asyncio

import httpx

from kyara_fetcher.swarm import USER_AGENT
from kyara_outside import NotPublic, PublicOnly, without_secrets
from kyara_stage import StageError

_MOST_REDIRECTS = 5
_SERVER_ERROR = 500
_COME_BACK = (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS)


async def get(url: str, *, most_bytes: int, within_s: float, allow_private: bool) -> bytes:
    """What `url` answers, after at most five redirects, each held to the same rules.

    Raises StageError: INVALID_ARGUMENT for a link that breaks the rules, FAILED_PRECONDITION when the server refuses,
    UNAVAILABLE when it cannot be reached or is slower than `within_s` seconds.
    """
    where = without_secrets(url)
    try:
        async with (
            asyncio.timeout(within_s),
            httpx.AsyncClient(
                transport=PublicOnly(allow_private),
                headers={"User-Agent": USER_AGENT},
                timeout=within_s,
                follow_redirects=True,
                max_redirects=_MOST_REDIRECTS,
                trust_env=False,
            ) as client,
            client.stream("GET", url) as response,
        ):
            _check_status(where, response)
            return await _body(where, response, most_bytes)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise StageError.unavailable(f"{where} did not answer whole within {within_s:g} s; try again later") from error
    except NotPublic as error:
        message = f"{error}; give another link, or let the fetcher speak to private networks (allow_private_peers)"
        raise StageError.invalid(message) from error
    except httpx.TooManyRedirects as error:
        raise StageError.invalid(f"{where} redirects more than {_MOST_REDIRECTS} times; give the link it leads to") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise StageError.invalid(f"{where} is no link: {error}; copy it again, whole") from error
    except httpx.HTTPError as error:
        raise StageError.unavailable(f"{where} cannot be fetched: {error}; check the link, or try again later") from error


def _check_status(where: str, response: httpx.Response) -> None:
    if response.is_success:
        return
    said = f"{where} answers {response.status_code} {response.reason_phrase}"
    if response.status_code >= _SERVER_ERROR or response.status_code in _COME_BACK:
        raise StageError.unavailable(f"{said}; try again later")
    raise StageError.precondition(f"{said}; check the link, or download it yourself and give the file")


async def _body(where: str, response: httpx.Response, most_bytes: int) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > most_bytes:
            raise StageError.invalid(f"{where} is larger than the {most_bytes} bytes allowed; is it the right link?")
    return bytes(body)
