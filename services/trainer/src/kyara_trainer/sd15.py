"""Stable Diffusion 1.5's family: one text encoder, whose last or last but one layer conditions the UNet."""

from collections.abc import Sequence

import torch

from kyara_trainer.model import BaseModel, Conditioning, Framing


class StableDiffusion15(BaseModel):
    """A model in Stable Diffusion 1.5's shape."""

    version = "sd_v1"
    architecture = "stable-diffusion-v1"
    embedding_names = ("emb_params",)

    def encode_text(self, captions: Sequence[str], clip_skip: int) -> Conditioning:
        """As `BaseModel.encode_text`; always with the final layer norm."""
        (encoder,) = self.text_encoders.values()
        output = encoder.hidden_states(captions, self.device)
        if clip_skip <= 1:
            return Conditioning(output.last_hidden_state)
        return Conditioning(encoder.model.final_layer_norm(output.hidden_states[-clip_skip]))

    def predict(
        self, noisy: torch.Tensor, timesteps: torch.Tensor, told: Conditioning, framings: Sequence[Framing]
    ) -> torch.Tensor:
        """As `BaseModel.predict`; how the pictures were cut is nothing to it."""
        return self.unet(noisy, timesteps, told.hidden).sample
