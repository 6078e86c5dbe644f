"""Names of a network's parts: `down_blocks.0.attentions.1` with dots, as modules have them, and with underscores, as files do.

A name with underscores says not where one part ends. It is taken apart by the words that diffusers and transformers use.
"""

import re

_WORDS = (
    "down_blocks", "up_blocks", "mid_block", "attentions", "resnets", "downsamplers", "upsamplers", "transformer_blocks",
    "attn1", "attn2", "to_q", "to_k", "to_v", "to_out", "ff", "net", "proj_in", "proj_out", "proj", "norm1", "norm2", "norm3",
    "norm", "conv_shortcut", "conv_in", "conv_out", "conv_norm_out", "conv1", "conv2", "conv", "time_emb_proj", "time_embedding",
    "add_embedding", "linear_1", "linear_2", "linear",
    "text_model", "encoder", "layers", "self_attn", "q_proj", "k_proj", "v_proj", "out_proj", "mlp", "fc1", "fc2", "layer_norm1",
    "layer_norm2", "final_layer_norm", "text_projection", "embeddings", "token_embedding", "position_embedding",
)  # fmt: skip
_WORD = re.compile("|".join([*sorted(map(re.escape, _WORDS), key=len, reverse=True), r"\d+"]))


class UnknownName(ValueError):
    """A name holds a word that no network here has."""


def dotted(name: str) -> str:
    """`down_blocks_0_attentions_1` as `down_blocks.0.attentions.1`. Raises UnknownName."""
    words: list[str] = []
    place = 0
    while place < len(name):
        found = _WORD.match(name, place)
        if not found or (found.end() < len(name) and name[found.end()] != "_"):
            raise UnknownName(f"{name}: no part of Stable Diffusion's networks is called {name[place:]!r}")
        words.append(found[0])
        place = found.end() + 1
    return ".".join(words)


def underscored(name: str) -> str:
    """`down_blocks.0.attentions.1` as `down_blocks_0_attentions_1`."""
    return name.replace(".", "_")
