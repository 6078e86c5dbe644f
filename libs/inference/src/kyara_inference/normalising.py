"""Pictures as CLIP was trained on them, which CCIP took over."""

import numpy as np
import PIL.Image

# Mean and standard deviation of CLIP's training pictures, red, green and blue.
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073])[:, None]
_DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711])[:, None]
_SCALED = ((np.arange(256, dtype=np.float32) / np.float32(255) - _MEAN) / _DEVIATION).astype(np.float32)
"""[3, 256]: what each level of each channel is to the model; looked up, for there are only so many."""


def normalised(image: PIL.Image.Image) -> np.ndarray:
    """[3, h, w] float32 of an RGB picture."""
    return np.stack([scale[channel] for scale, channel in zip(_SCALED, np.asarray(image).transpose(2, 0, 1), strict=True)])
