"""What the preview model is asked for, as JSON on its way through Ray."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Lora:
    """A LoRA file, or a file of its own words, in the store."""

    sha256: str
    size: int


@dataclass(frozen=True)
class DrawRequest:
    """All previews of one save."""

    step: int
    """0 is the base model alone."""
    lora: Lora | None
    prompts: list[dict[str, Any]]
    """`DrawnPrompt`s as JSON."""
    width: int
    height: int
    sampler_steps: int
    guidance: float
    clip_skip: int
    lora_weight: float
    words: Lora | None = None
    """The save's own words, which stand in the trigger's place."""
    trigger: str = ""
    scheduler: str = ""
    """A class of diffusers; none is DPM++ 2M Karras."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "DrawRequest":
        """What `to_json` wrote."""
        files = {key: Lora(**value[key]) if value[key] else None for key in ("lora", "words")}
        return cls(**{**value, **files})
