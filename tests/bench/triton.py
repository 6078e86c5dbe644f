"""The end of `make test-triton`: samples a second that callers get from Triton and from the embedded server.

Both run on the same processors with as many threads, and Triton through its stand-in backend in Python, so that this tells
what the way to Triton costs and nothing of a graphics card.
"""

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from kyara_inference import Inference
from tests.bench.rows import medians
from tests.servers.inference import inference_server
from tests.servers.kyara import run_cli
from tests.servers.s3 import s3_server
from tests.servers.triton import triton

MODELS = {
    "miniature-detector": ("images", (3, 512, 512), "output0"),
    "miniature-ccip-feat": ("input", (3, 384, 384), "output"),
    "miniature-tagger": ("input", (448, 448, 3), "output"),
}
INSTANCES = "2"
"""As many as the embedded server runs at the same time."""
SAMPLES = 24
"""Of each caller."""


def main() -> None:
    """Measure and print the table."""
    table = Table("what", "Triton", "embedded", "ratio", title="samples a second, medians of whole runs")
    with tempfile.TemporaryDirectory(prefix="kyara-triton-") as name, s3_server(Path(name)) as s3:
        folder = Path(name)
        fill = ("models", "repository", "--to", s3.url("models"), "--instances", INSTANCES)
        done = run_cli(*fill, environment=s3.environment)
        assert done.returncode == 0, done.stderr
        with triton(folder, s3, "models") as server, inference_server(folder) as embedded:
            for model in MODELS:
                for callers, at_once in ((1, 3), (4, 1)):
                    works = [_work(each.address, model, callers, at_once) for each in (server, embedded)]
                    ours, theirs = (callers * SAMPLES / seconds for seconds in medians(*works))
                    what = f"{model}: {callers} callers, {at_once} a request"
                    table.add_row(what, f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}")
    Console().print(table)


def _work(address: str, model: str, callers: int, at_once: int) -> Callable[[], object]:
    """What `callers` ask for at the same time, each over a connection of its own."""
    name, shape, output = MODELS[model]
    request = {name: np.random.default_rng(1).random((at_once, *shape), np.float32)}

    def call(_: int) -> None:
        with Inference(address) as inference:
            for _answer in inference.infer_each(model, [request] * (SAMPLES // at_once), output):
                pass

    def work() -> None:
        with ThreadPoolExecutor(callers) as threads:
            list(threads.map(call, range(callers)))

    return work


if __name__ == "__main__":
    main()
