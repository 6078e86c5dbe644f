"""Stable Diffusion XL's family: two text encoders side by side, a pooled vector, and how the picture was cut."""

from collections.abc import Sequence

import torch

from kyara_trainer.model import BaseModel, Conditioning, Framing


class StableDiffusionXL(BaseModel):
    """A model in Stable Diffusion XL's shape."""

    version = "sdxl_base_v1-0"
    architecture = "stable-diffusion-xl-v1-base"
    embedding_names = ("clip_l", "clip_g")

    def encode_text(self, captions: Sequence[str], clip_skip: int) -> Conditioning:
        """As `BaseModel.encode_text`; this family was trained on the last but one layer, from which it skips on."""
        layer = -max(2, clip_skip)
        outputs = [encoder.hidden_states(captions, self.device) for encoder in self.text_encoders.values()]
        hidden = torch.cat([output.hidden_states[layer] for output in outputs], dim=-1)
        return Conditioning(hidden, pooled=outputs[-1].text_embeds)

    def predict(
        self, noisy: torch.Tensor, timesteps: torch.Tensor, told: Conditioning, framings: Sequence[Framing]
    ) -> torch.Tensor:
        """As `BaseModel.predict`."""
        cuts = torch.tensor([framing.ids() for framing in framings], device=self.device)
        added = {"text_embeds": told.pooled, "time_ids": cuts}
        return self.unet(noisy, timesteps, told.hidden, added_cond_kwargs=added).sample
