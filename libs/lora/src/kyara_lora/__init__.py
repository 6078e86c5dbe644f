"""LoRA files of Stable Diffusion: read, named as other programs name them, written the same each time."""

from kyara_lora.container import BadFile, LoraFile, packed, read, write
from kyara_lora.formats import COMMUNITY, DIFFUSERS, FORMATS, converted, format_of
from kyara_lora.info import Part, Summary, summary_of

__all__ = [
    "COMMUNITY",
    "DIFFUSERS",
    "FORMATS",
    "BadFile",
    "LoraFile",
    "Part",
    "Summary",
    "converted",
    "format_of",
    "packed",
    "read",
    "summary_of",
    "write",
]
