"""Our linear layer with a LoRA gives what peft's gives."""

import contextlib
from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from kyara_trainer.fused import FusedLinear, fused


@pytest.mark.parametrize("mixed", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("bias", [False, True])
def test_it_gives_the_results_and_gradients_of_pefts(mixed: bool, bias: bool) -> None:
    theirs, ours = (_layer(bias=bias, own=own) for own in (False, True))
    assert isinstance(ours[0], FusedLinear) and type(theirs[0]) is not type(ours[0])
    (expected, *wanted), (found, *got) = (_through(each, mixed=mixed) for each in (theirs, ours))
    assert found.dtype == expected.dtype == (torch.bfloat16 if mixed else torch.float32)
    assert [each.dtype for each in got] == [torch.float32] * 3
    rtol, atol = (0.03, 0.03) if mixed else (1e-5, 1e-6)
    for one, other in zip([found, *got], [expected, *wanted], strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=atol)


def test_an_input_that_needs_no_gradient_gets_none() -> None:
    layer = _layer(bias=True, own=True)
    layer(torch.ones(2, 24)).sum().backward()
    assert layer[0].lora_B["default"].weight.grad is not None


def _layer(*, bias: bool, own: bool) -> Any:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(24, 40, bias=bias)).requires_grad_(False)
    config = LoraConfig(r=4, lora_alpha=3, target_modules=["0"], init_lora_weights=False)
    inject_adapter_in_model(fused(config) if own else config, network)  # pyright: ignore[reportArgumentType]
    return network


def _through(network: Any, *, mixed: bool) -> list[torch.Tensor]:
    """What comes out, and the gradients of the input and of both of the LoRA's weights."""
    torch.manual_seed(2)
    x = torch.randn(3, 5, 24, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16) if mixed else contextlib.nullcontext():
        out = network(x)
    (out.float() ** 2).mean().backward()
    found = [x.grad, network[0].lora_A["default"].weight.grad, network[0].lora_B["default"].weight.grad]
    assert all(each is not None for each in found)
    return [out, *found]
