"""What `helm test` runs: draw a short episode, put it into the store's bucket, and see one job through to a scored LoRA.

KYARA_ADDRESS and KYARA_STORE say where jobs are served and where the bucket is; the exit code is that of `kyara submit`.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from kyara_artifacts.s3 import AMAZON, REGION, s3_client
from kyara_miniature.episode import make_episode

store = urlsplit(os.environ["KYARA_STORE"])
query = parse_qs(store.query)
client = s3_client(query.get("endpoint", [AMAZON])[0], query.get("region", [REGION])[0])
key = f"{store.path.strip('/')}/helm-test/episode.mkv".lstrip("/")

with tempfile.TemporaryDirectory() as folder:
    episode = Path(folder) / "episode.mkv"
    make_episode(episode, seed=11, seconds=40, main=2, width=960, height=540)
    client.fput_object(store.netloc, key, str(episode))
    source = f"s3://{store.netloc}/{key}"
    print(f"submits {source}", flush=True)
    command = [
        "kyara",
        "submit",
        "video",
        source,
        "--recipe",
        "miniature-quick",
        "--max-characters",
        "1",
        "--publish",
        "/tmp/published",
    ]
    done = subprocess.run(command, check=False)
    client.remove_object(store.netloc, key)
sys.exit(done.returncode)
