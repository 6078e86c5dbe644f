"""How long each step of a training takes, whoever wrote it: `python -m tests.bench.step_times MODULE ARGUMENT ...`.

Runs the module, and prints as the last line the seconds between the ends of each two steps of its optimiser, as JSON.
"""

import itertools
import json
import runpy
import sys
import time

from torch.optim.optimizer import register_optimizer_step_post_hook


def main() -> None:
    """Run it, and say."""
    ends: list[float] = []
    register_optimizer_step_post_hook(lambda *_: ends.append(time.perf_counter()))
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__")
    print(json.dumps([later - earlier for earlier, later in itertools.pairwise(ends)]))


if __name__ == "__main__":
    main()
