"""The publisher: datasets and LoRAs to a folder or a hub repository."""

import os

# Read by huggingface_hub when it is imported. Plain uploads work on every hub, the xet protocol only on some; and
# a server's log is no place for progress bars.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
