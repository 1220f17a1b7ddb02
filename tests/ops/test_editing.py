"""What operations say about themselves to whoever edits graphs - checked against what their modules compute."""

from __future__ import annotations

import pytest
import torch

from uninas.ops import REGISTRY, Grid, Value, make
from uninas.ops.layers import ACTIVATIONS, NORMS

ELEMENTWISE = [*ACTIVATIONS, "sigmoid", "softmax"]
CHANNELS = 8


def run(name: str, x: torch.Tensor, **attributes) -> torch.Tensor:
    grid = Grid.POINT if x.shape[2:] == (1, 1) else Grid.FULL
    module = make(name, attributes).build((Value(CHANNELS, grid),))
    return module(x)


@pytest.fixture
def x() -> torch.Tensor:
    return 3 * torch.randn(2, CHANNELS, 6, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", [name for name, op in REGISTRY.items() if op.nonnegative])
def test_nonnegative_operations_are_and_relu_adds_nothing_behind_them(name, x):
    y = run(name, x)
    assert (y >= 0).all()
    assert make("relu").redundant_behind(make(name))
    assert torch.equal(run("relu", y), y)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_activations_that_go_below_zero_do_not_claim_otherwise(name, x):
    if not REGISTRY[name].nonnegative:
        assert (run(name, x) < 0).any()
        assert not make("relu").redundant_behind(make(name))


@pytest.mark.parametrize("name", ["max_pool", "avg_pool", "global_avg_pool"])
def test_pools_of_an_upsampled_point_give_it_back(name, x):
    point = x.mean((2, 3), keepdim=True)
    constant = point.expand(-1, -1, 4, 7)
    expected = point if name == "global_avg_pool" else constant
    assert torch.allclose(run(name, constant), expected, atol=1e-6)
    assert make(name).redundant_behind(make("upsample"))
    assert not make(name).redundant_behind(make("conv"))


def test_norms_are_the_operations_with_that_role():
    anywhere = {"any_batch_norm", "any_layer_norm"}  # those of converted networks alone
    assert {name for name, op in REGISTRY.items() if op.role == "norm"} == {*NORMS.values(), *anywhere}
    for one in NORMS.values():
        for other in NORMS.values():
            assert make(one).redundant_behind(make(other))
        assert not make(one).redundant_behind(make("conv"))


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_a_norm_behind_itself_changes_nothing_at_the_start(name, x):
    assert torch.allclose(run(name, run(name, x)), run(name, x), atol=1e-4)


def test_frames_choose_from_activations_alone():
    assert all(REGISTRY[name].role == "activation" for name in ACTIVATIONS)


@pytest.mark.parametrize("name", REGISTRY)
def test_an_operation_is_redundant_behind_itself_exactly_if_it_is_not_repeatable(name):
    op = make(name)
    behind_itself = op.redundant_behind(op)
    assert behind_itself == (not REGISTRY[name].repeatable)


@pytest.mark.parametrize("name", [name for name, op in REGISTRY.items() if op.rearranges])
def test_what_rearranges_keeps_every_value(name, x):
    if name == "chunk":
        parts = make("chunk", {"parts": 2}).build((Value(CHANNELS),))(x)
        assert torch.equal(torch.cat(parts, 1), x)
    elif name == "concat":
        assert torch.equal(make("concat").build((Value(4), Value(4)))(x[:, :4], x[:, 4:]), x)
    else:
        assert name == "upsample"
        point = x[:, :, :1, :1]
        assert torch.equal(make("upsample").build((Value(CHANNELS, Grid.POINT),))(point, x), point.expand_as(x))
