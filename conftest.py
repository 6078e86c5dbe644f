"""Set before any test imports huggingface_hub, which reads it once: no xet protocol, as in the publisher."""

import os

os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
