from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uninas.ops.modules.norm import LayerNorm2d as OurLayerNorm2d
from uninas.proxies.fisher.derivatives import _forward_mode, derivative

from ..nets import LayerNorm2d, RMSNorm2d


class ActivatedNorm(nn.LayerNorm):
    """A layer norm over channels with something behind it: no closed formula fits."""

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(super().forward(input.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


CASES = {
    "conv": (nn.Conv2d(4, 6, 3, padding=1), (2, 4, 5, 5)),
    "strided": (nn.Conv2d(4, 6, (3, 2), stride=(2, 3), padding=(2, 1)), (2, 4, 9, 8)),
    "dilated": (nn.Conv2d(4, 6, 3, padding=2, dilation=2), (2, 4, 7, 7)),
    "grouped": (nn.Conv2d(4, 8, 3, groups=4, bias=False), (2, 4, 5, 5)),
    "same": (nn.Conv2d(4, 6, 4, padding="same"), (2, 4, 5, 5)),
    "circular": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), (2, 4, 5, 5)),
    "1d": (nn.Conv1d(4, 6, 3, stride=2, padding=1), (2, 4, 9)),
    "3d": (nn.Conv3d(2, 3, 2, padding=1), (2, 2, 3, 4, 5)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2), (2, 4, 5, 5)),
    "linear": (nn.Linear(4, 6), (2, 3, 4)),
    "batch norm": (nn.BatchNorm2d(4).eval(), (2, 4, 3, 3)),
    "batch norm 1d": (nn.BatchNorm1d(4).eval(), (2, 4)),
    "layer norm": (nn.LayerNorm(4), (2, 3, 4)),
    "layer norm over an image": (nn.LayerNorm((3, 4)), (2, 5, 3, 4)),
    "layer norm over channels": (LayerNorm2d(4), (2, 4, 3, 3)),
    "ours": (OurLayerNorm2d(4), (2, 4, 3, 3)),
    "activated norm": (ActivatedNorm(4), (2, 4, 3, 3)),
    "group norm": (nn.GroupNorm(2, 4), (2, 4, 3, 3)),
    "rms norm": (RMSNorm2d(4), (2, 4, 3, 3)),
    "prelu": (nn.PReLU(), (2, 4, 3, 3)),
}


@pytest.fixture(params=CASES)
def case(request) -> tuple[nn.Module, Tensor]:
    module, shape = CASES[request.param]
    generator = torch.Generator().manual_seed(0)
    for tensor in [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]:
        tensor.data = torch.rand(tensor.shape, generator=generator) + 0.5
    return module, torch.randn(shape, generator=generator)


def test_derivative_is_that_of_forward_mode(case):
    module, x = case
    out = module(x).detach()
    for name, _ in module.named_parameters():
        found, expected = derivative(module, name, (x,), {}, out), _forward_mode(module, name, (x,), {})
        for d in (found, expected):
            assert d is not None
        assert torch.allclose(dense(found, out), dense(expected, out), atol=1e-5), name


def test_derivative_is_a_difference_quotient(case):
    module, x = case
    for name, parameter in module.named_parameters():
        out = module(x).detach()
        found = dense(derivative(module, name, (x,), {}, out), out)
        first, step = (0,) * parameter.dim(), 1e-2
        with torch.no_grad():
            parameter[first] += step
            above = module(x)
            parameter[first] -= 2 * step
            below = module(x)
            parameter[first] += step
        assert torch.allclose((above - below) / (2 * step), found, atol=2e-3), name


def dense(d, out: Tensor) -> Tensor:
    full = torch.zeros_like(out)
    full[d.index] = d.values
    return full


def test_a_parameter_that_does_not_matter_has_none():
    module = nn.Sequential(nn.Linear(2, 2), nn.Identity())
    module.register_parameter("unused", nn.Parameter(torch.ones(3)))
    x = torch.randn(2, 2)
    assert derivative(module, "unused", (x,), {}, module(x)) is None


def test_only_the_touched_slice_is_kept():
    module = RMSNorm2d(16)
    x = torch.randn(2, 16, 5, 5)
    found = derivative(module, "weight", (x,), {}, module(x))
    assert found is not None and found.values.shape == (2, 1, 5, 5)
