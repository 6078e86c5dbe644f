"""gallery-dl as a process: one run lists one link, a post a line, and is ended with all it has started."""

import asyncio
import contextlib
import json
import os
import re
import resource
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

from kyara_crawler.source import SiteFailed

MOST_LINE_BYTES = 1 << 20
MOST_BYTES = 64 << 20
MOST_MEMORY_BYTES = 2 << 30
_NOT_FOUND = 8
_SAID = 4096


class NothingThere(Exception):
    """The site says that there is no such thing."""


async def listed(url: str, options: Mapping[str, Any], url_key: str, patience_s: float) -> AsyncGenerator[bytes, None]:
    """A line of JSON for each file below `url`, with its link under `url_key`. Stop reading, and it asks for no more.

    `options` are gallery-dl's for every extractor. Raises NothingThere, and SiteFailed also when nothing comes for `patience_s`.
    """
    with tempfile.TemporaryDirectory(prefix="kyara-list-") as folder:
        file = Path(folder, "config.json")
        file.touch(0o600)  # there may be a login in it
        file.write_text(json.dumps(_config(options, url_key, folder)))
        command = ["--config-ignore", "--config", str(file), "--no-download", "--no-input", "--no-colors", "--", url]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-u", "-X", "utf8", "-m", "gallery_dl", *command,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=MOST_LINE_BYTES, cwd=folder, start_new_session=True,
            env={"PATH": os.defpath, "HOME": folder},  # nothing of ours, secrets least of all
        )  # fmt: skip
        assert process.stdout and process.stderr
        said = asyncio.create_task(_last_of(process.stderr))
        try:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
            async for line in _lines(process.stdout, patience_s):
                yield line
            await _check(await process.wait(), said)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            said.cancel()
            await process.wait()


def _config(options: Mapping[str, Any], url_key: str, folder: str) -> dict[str, Any]:
    """Its configuration; requests wait for their turn at the gate, each on a connection of its own, and nowhere else."""
    own = {
        "base-directory": folder,
        "children": False,
        "url-metadata": url_key,
        "proxy-env": False,
        "headers": {"Connection": "close"},
        "sleep": 0,
        "sleep-request": 0,
        "retries": 2,
        "postprocessors": [{"name": "metadata", "mode": "jsonl", "event": "prepare", "filename": "-"}],
    }
    return {"extractor": {**options, **own}, "output": {"mode": "null"}, "cache": {"file": None}}


async def _lines(reader: asyncio.StreamReader, patience_s: float) -> AsyncGenerator[bytes, None]:
    total = 0
    while True:
        try:
            async with asyncio.timeout(patience_s):
                line = await reader.readline()
        except TimeoutError as error:
            raise SiteFailed(f"gallery-dl lists nothing for {patience_s:g} s; the site is slow, or asks to wait") from error
        except ValueError as error:
            raise SiteFailed(f"gallery-dl tells more than {MOST_LINE_BYTES} bytes of one post") from error
        total += len(line)
        if total > MOST_BYTES:
            raise SiteFailed(f"gallery-dl tells more than {MOST_BYTES} bytes")
        if not line:
            return
        yield line


async def _check(code: int, said: asyncio.Task[bytes]) -> None:
    """Raises NothingThere or SiteFailed when gallery-dl was not content; its codes are bits."""
    if not code:
        return
    text = (await said).decode(errors="replace")
    if code == _NOT_FOUND:
        raise NothingThere
    told = [line for line in text.splitlines() if re.search(r"\[(warning|error)\]", line)] or text.splitlines()[-1:]
    plain = [re.sub(r"\?[^\s']*|Please run gallery-dl again.*", "", line).strip() for line in told[-2:]]
    raise SiteFailed(f"gallery-dl ends with {code}: {'; '.join(plain)[:500]}")


async def _last_of(reader: asyncio.StreamReader) -> bytes:
    """The end of what is said, however much it is."""
    last = b""
    while piece := await reader.read(_SAID):
        last = (last + piece)[-_SAID:]
    return last
