"""A linear layer and its LoRA as one operation of autograd.

peft does it in six, among them a product by the scale and two sums as large as the layer's input and output, which here the
matrix products do as they go. The same numbers within rounding; a step of the miniature on a processor takes 4 to 5 % less.
"""

from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora import Linear
from torch import nn


def fused(config: LoraConfig) -> LoraConfig:
    """The config, so that peft makes its linear layers ours."""
    # peft's own way for layers of one's own: "dynamic dispatch" in its guide to custom models.
    config._register_custom_module({nn.Linear: FusedLinear})  # pyright: ignore[reportPrivateUsage]
    return config


class FusedLinear(Linear):
    """peft's layer, but for its way through."""

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """[..., in] to [..., out]"""
        (name,) = self.active_adapters
        base, down, up = self.get_base_layer(), self.lora_A[name], self.lora_B[name]
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        found: Any = _Fused.apply(x, base.weight, base.bias, down.weight, up.weight, self.scaling[name], dtype)
        return found


class _Fused(torch.autograd.Function):
    """x [..., in], weight [out, in], bias [out] or None, down [rank, in], up [out, rank]; only x, down and up get gradients.

    Products are taken in `dtype`; a gradient has the type of what it is of.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        ctx.scale, ctx.shape, ctx.types = scale, x.shape, (x.dtype, down.dtype, up.dtype)
        rows, weight, down, up = (each.to(dtype) for each in (x.reshape(-1, x.shape[-1]), weight, down, up))
        low = rows @ down.t()
        out = nn.functional.linear(rows, weight, None if bias is None else bias.to(dtype)).addmm_(low, up.t(), alpha=scale)
        ctx.save_for_backward(rows, low, weight, down, up)
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, low, weight, down, up = ctx.saved_tensors
        of_rows, of_down, of_up = ctx.types
        gradient = gradients[0].reshape(-1, gradients[0].shape[-1])
        at_low = (gradient @ up).mul_(ctx.scale)
        at_x = (gradient @ weight).addmm_(at_low, down).view(ctx.shape).to(of_rows) if ctx.needs_input_grad[0] else None
        at_up = (gradient.t() @ low).mul_(ctx.scale)
        return at_x, None, None, (at_low.t() @ rows).to(of_down), at_up.to(of_up), None, None
