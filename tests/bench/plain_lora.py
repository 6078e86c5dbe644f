"""A LoRA trained as one writes it after reading peft's and diffusers' pages: what `make bench-train` compares with.

`python -m tests.bench.plain_lora BASE PICTURES RESOLUTION BATCH STEPS RANK`: pictures and captions are decoded and encoded when a
step wants them.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from peft import LoraConfig
from transformers import CLIPTextModel, CLIPTokenizer

MODULES = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"]


class Pictures(torch.utils.data.Dataset[tuple[torch.Tensor, str]]):
    """The pictures of a folder with the captions of its metadata.jsonl, scaled and cut to a square."""

    def __init__(self, folder: Path, resolution: int) -> None:
        lines = (folder / "metadata.jsonl").read_text().splitlines()
        self._items = [(folder / item["file_name"], item["text"]) for item in map(json.loads, lines)]
        self._resolution = resolution

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, str]:
        path, caption = self._items[number]
        size = (self._resolution, self._resolution)
        image = PIL.Image.open(path).convert("RGB").resize(size, PIL.Image.Resampling.LANCZOS)
        return torch.from_numpy(np.asarray(image, np.float32) / 127.5 - 1).permute(2, 0, 1), caption


def main() -> None:
    """Train."""
    base, folder = sys.argv[1], Path(sys.argv[2])
    resolution, batch, steps, rank = map(int, sys.argv[3:])
    torch.manual_seed(1)
    tokenizer = CLIPTokenizer.from_pretrained(base, subfolder="tokenizer")
    text_encoder: Any = CLIPTextModel.from_pretrained(base, subfolder="text_encoder").requires_grad_(False)
    vae: Any = AutoencoderKL.from_pretrained(base, subfolder="vae").requires_grad_(False)
    unet: Any = UNet2DConditionModel.from_pretrained(base, subfolder="unet").requires_grad_(False)
    noise_scheduler: Any = DDPMScheduler.from_pretrained(base, subfolder="scheduler")
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=MODULES))
    trained = [weight for weight in unet.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    loader = torch.utils.data.DataLoader(Pictures(folder, resolution), batch_size=batch, shuffle=True)
    done = 0
    while done < steps:
        for pixels, captions in loader:
            latents = vae.encode(pixels).latent_dist.sample() * vae.config.scaling_factor
            noise = torch.randn_like(latents)
            timesteps = torch.randint(0, noise_scheduler.config.num_train_timesteps, (len(latents),))
            noisy = noise_scheduler.add_noise(latents, noise, timesteps)
            length = tokenizer.model_max_length
            tokens = tokenizer(list(captions), padding="max_length", truncation=True, max_length=length, return_tensors="pt")
            predicted = unet(noisy, timesteps, text_encoder(tokens.input_ids)[0]).sample
            loss = torch.nn.functional.mse_loss(predicted, noise)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            done += 1
            if done == steps:
                break


if __name__ == "__main__":
    main()
