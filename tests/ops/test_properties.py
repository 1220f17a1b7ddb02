"""What operations say about themselves to passes and proxies, checked against what their modules compute."""

from __future__ import annotations

import pytest
import torch

from uninas.ops import REGISTRY, Grid, Op, Value, make, operation_of
from uninas.ops.base import undecayed
from uninas.ops.layers import ACTIVATIONS, activation_layer, sequential

CHANNELS = 4
SIZE = (3, 5)
ADDENDS = [make("rel_pos_bias", {"size": 3}), make("mask", {"band": 3, "fill": "exclude"})]


def named(*, where: str) -> list[str]:
    """The operations with a true attribute of that name; there are some."""
    found = [name for name, op in REGISTRY.items() if getattr(op, where)]
    assert found
    return found


def random(*shape: int) -> torch.Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(0))


def built(op: Op, grid: Grid = Grid.FULL, inputs: int = 1) -> torch.nn.Module:
    return op.module((Value(CHANNELS, grid),) * inputs).eval()


@pytest.mark.parametrize("name", named(where="elementwise"))
def test_elementwise_operations_see_one_entry_at_a_time(name):
    module, x = built(make(name)), random(2, CHANNELS, *SIZE)
    order = torch.randperm(x.numel(), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(module(x).flatten()[order], module(x.flatten()[order].view_as(x)).flatten())


@pytest.mark.parametrize("name", named(where="broadcasts"))
def test_what_broadcasts_repeats_a_point_everywhere(name):
    module, x, point = built(make(name), inputs=2), random(2, CHANNELS, *SIZE), random(2, CHANNELS, 1, 1)
    assert torch.equal(module(x, point), module(x, point.expand_as(x)))


def test_gates_let_positive_entries_through_and_hold_negative_ones_back():
    x = random(2, CHANNELS, *SIZE).abs() + 1
    activations = [name for name, op in REGISTRY.items() if op.role == "activation"]
    gates = [name for name in activations if all(built(make(name))(-x).abs().ravel() < built(make(name))(x).ravel())]
    gates = [name for name in gates if built(make(name))(10 * x).max() > 1]  # a sigmoid saturates
    assert sorted(gates) == sorted(named(where="is_gate")) == sorted(ACTIVATIONS)


@pytest.mark.parametrize("op", ADDENDS, ids=str)
def test_addends_do_not_depend_on_the_input(op):
    module, positions = built(op, Grid.PAIR), SIZE[0] * SIZE[1]
    x, reference = random(2, CHANNELS, positions, positions), random(2, 1, *SIZE)
    alone = module(None, reference)
    value = op.addend((Value(CHANNELS, Grid.PAIR),))
    assert value is not None
    assert alone.shape == (1, value.channels, positions, positions)
    torch.testing.assert_close(module(x, reference), x + alone)


def test_all_other_operations_have_no_addend():
    value = (Value(CHANNELS, Grid.PAIR),)
    assert {op.name for op in map(make, REGISTRY) if op.addend(value)} | {"mask"} == {op.name for op in ADDENDS}
    assert make("mask").addend(value) is None  # sets to zero


@pytest.mark.parametrize("name", named(where="undecayed"))
def test_undecayed_parameters_exist(name):
    module = built(make(name), Grid.PAIR)
    assert undecayed(module) == set(REGISTRY[name].undecayed) <= {name for name, _ in module.named_parameters()}


def test_attributes_do_not_hide_properties():
    with pytest.raises(TypeError, match="'is_gate' is what every operation says of itself"):

        class Hides(Op):
            is_gate: str = "sigmoid"


def test_modules_know_what_they_stand_for():
    op = make("conv", {"kernel": 3})
    assert operation_of(built(op)) == op
    assert operation_of(torch.nn.Conv2d(1, 1, 1)) is None
    (activation,) = sequential([activation_layer("silu", CHANNELS)])
    assert operation_of(activation) == make("silu")
    other = torch.nn.Conv2d(1, 1, 1)
    other.operation = torch.nn.Identity()  # of another library, by the same name
    assert operation_of(other) is None
