"""The networks of the miniature CLIP: what a tagger sees of pictures, and texts, to unit vectors of one space."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kyara_miniature.train.recognise_net import TOP

EMBEDDING = 512
"""Width of the common space, that of openai/clip-vit-base-patch32."""
SEEN = 2 * TOP
"""Width of what the tagger sees of a picture."""
WIDTH = 128
"""Of the text encoder."""


class PictureHead(nn.Module):
    """What a tagger sees of pictures [b, SEEN] -> unit embeddings [b, EMBEDDING]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(SEEN), nn.Linear(SEEN, SEEN), nn.GELU(), nn.Linear(SEEN, EMBEDDING))

    def forward(self, seen: Tensor) -> Tensor:
        return F.normalize(self.layers(seen), dim=1)


class TextEncoder(nn.Module):
    """Tokens [b, t] and which of them are text [b, t] -> encodings [b, WIDTH] and unit embeddings [b, EMBEDDING].

    Two layers see two words to each side, which is as far as a tag goes; the order of tags says nothing, so that their mean
    is taken. A prompt's words are learned in a tenth of the time that attention over the whole of it would need.
    """

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, WIDTH)
        self.layers = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 3, padding=1) for _ in range(2))
        self.norm = nn.LayerNorm(WIDTH)
        self.project = nn.Linear(WIDTH, EMBEDDING)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        text = attention_mask[:, None, :].to(self.embed.weight.dtype)
        states = self.embed(input_ids).transpose(1, 2)
        for layer in self.layers:
            # What is no text is nothing, so that the same words give the same vector at any length of the padding.
            states = states + F.gelu(layer(states * text))
        encodings = self.norm((states * text).sum(dim=2) / text.sum(dim=2).clamp(min=1))
        return encodings, F.normalize(self.project(encodings), dim=1)


class Clip(nn.Module):
    """What is learned of both sides, and the scale that makes a logit of a cosine."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.picture = PictureHead()
        self.text = TextEncoder(vocabulary)
        self.log_scale = nn.Parameter(torch.tensor(20.0).log())

    def logits(self, pictures: Tensor, texts: Tensor) -> Tensor:
        """[b, n] of unit vectors [b, EMBEDDING] and [n, EMBEDDING]."""
        return self.log_scale.exp() * pictures @ texts.T
