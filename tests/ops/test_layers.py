"""The layers that frame blocks: their declared sizes and costs against the real modules."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from uninas import GenotypeError
from uninas.ops import make
from uninas.ops.composite import AttentionLayer, SqueezeExciteLayer
from uninas.ops.layers import (
    ACTIVATIONS,
    NORMS,
    ConvLayer,
    FloorHalvingPool,
    GlobalPoolLayer,
    HalvingPool,
    LinearLayer,
    OpLayer,
    StridedMaxPool,
    activation_layer,
    norm_layer,
    sequential,
    total,
)

CHANNELS = 8
SIZES = [(8, 8), (7, 7), (9, 6), (3, 5), (2, 2), (1, 4), (1, 1)]

LAYERS = {
    **{
        f"conv{kernel} stride {stride}": ConvLayer(CHANNELS, 12, kernel, stride, bias=stride == 1)
        for kernel, stride in ((1, 1), (1, 2), (3, 1), (3, 2), (3, 3), (5, 2), (7, 4), (2, 2), (4, 4))
    },
    "depthwise conv": ConvLayer(CHANNELS, CHANNELS, 5, 2, bias=False, groups=CHANNELS),
    "conv with less padding": ConvLayer(CHANNELS, 12, 7, 4, pad=2),
    "halving pool": HalvingPool(),
    "halving pool that rounds down": FloorHalvingPool(),
    "strided max pool": StridedMaxPool(),
    "squeeze-excite": SqueezeExciteLayer(CHANNELS, 2, "silu"),
    "attention": AttentionLayer(CHANNELS, 12, 2, 4),
    "global pool": GlobalPoolLayer(),
    **{f"{name} norm": norm_layer(name, CHANNELS) for name in NORMS if name != "group"},
    "group norm": OpLayer(make("group_norm", {"groups": 2}), CHANNELS),
    **{name: activation_layer(name, CHANNELS) for name in ACTIVATIONS},
    "op with a cost": OpLayer(make("conv", {"kernel": 3}), CHANNELS),
}


def counted(module: torch.nn.Module, x: torch.Tensor) -> tuple[int, int, torch.Tensor]:
    """Parameters, MACs and output of a real module."""
    with FlopCounterMode(display=False) as counter:
        out = module.eval()(x)
    return sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2, out


@pytest.mark.parametrize("name", LAYERS)
def test_declared_is_real(name):
    layer = LAYERS[name]
    for size in SIZES:
        x = torch.randn(1, CHANNELS, *size)
        try:
            declared = layer.out_size(size)
        except GenotypeError as error:
            assert "is smaller than a" in str(error)
            with pytest.raises(RuntimeError):
                layer.build()(x)
            continue
        parameters, macs, out = counted(layer.build(), x)
        assert tuple(out.shape[2:]) == declared
        assert parameters == layer.parameters()
        assert macs == layer.macs(size)


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 1)])
def test_odd_kernels_and_pools_round_up(size):
    for layer in (ConvLayer(3, 4, 1, 2), ConvLayer(3, 4, 3, 2), ConvLayer(3, 4, 7, 2), HalvingPool()):
        assert layer.out_size(size) == (-(-size[0] // 2), -(-size[1] // 2))


def test_too_small_for_a_patch():
    with pytest.raises(GenotypeError, match="an input of 3 x 9 is smaller than a 4 x 4 patch"):
        ConvLayer(3, 4, 4, 4).out_size((3, 9))


def test_halving_pool_averages_what_is_there():
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert HalvingPool().build()(x).flatten().tolist() == [(0 + 1 + 3 + 4) / 4, (2 + 5) / 2]


@pytest.mark.parametrize("size", SIZES)
def test_halving_pool_compiled(size, monkeypatch):
    """Compilers and exporters get another way to the same numbers."""
    pool, x = HalvingPool().build(), torch.randn(2, 3, *size)
    expected = pool(x)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(pool(x), expected)


def test_classifier():
    layers = [GlobalPoolLayer(), LinearLayer(CHANNELS, 5)]
    parameters, macs, out = counted(sequential(layers), torch.randn(1, CHANNELS, 4, 3))
    assert out.shape == (1, 5)
    assert total(layers, (4, 3)) == (parameters, macs, (1, 1))


def test_total_is_the_sum_along_the_way():
    layers = [ConvLayer(3, CHANNELS, 3, 2), norm_layer("batch", CHANNELS), HalvingPool(), ConvLayer(CHANNELS, 4, 2, 2)]
    parameters, macs, out = counted(sequential(layers), torch.randn(1, 3, 21, 18))
    assert total(layers, (21, 18)) == (parameters, macs, tuple(out.shape[2:]))
    assert total([], (4, 3)) == (0, 0, (4, 3))


@pytest.mark.parametrize(("norm", "channels"), [("layer", 1), ("rms", 1), ("group", 12), ("group", 8)])
def test_norms_that_do_not_fit_are_refused_at_once(norm, channels):
    with pytest.raises(GenotypeError):
        norm_layer(norm, channels)
