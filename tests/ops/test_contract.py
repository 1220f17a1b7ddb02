"""The contract that every operation of the alphabet keeps: what it declares is what its torch module does.

`CASES` has at least one entry for each operation of the registry; an operation that is missing here fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from uninas import GenotypeError
from uninas.ops import REGISTRY, Grid, Op, Value, make
from uninas.ops.base import ALL_GRIDS

SIZES = ((6, 6), (5, 3))


def full(channels: int) -> Value:
    return Value(channels, Grid.FULL)


def point(channels: int) -> Value:
    return Value(channels, Grid.POINT)


def pair(channels: int) -> Value:
    return Value(channels, Grid.PAIR)


def everywhere(*channels: int) -> list[tuple[Value, ...]]:
    """Equal inputs on each grid."""
    return [tuple(Value(c, grid) for c in channels) for grid in ALL_GRIDS]


def on(value, *channels: int) -> list[tuple[Value, ...]]:
    return [tuple(value(c) for c in channels)]


@dataclass(frozen=True)
class Case:
    """Settings of an operation, inputs that fit it, and what comes out."""

    attributes: dict[str, Any]
    inputs: list[tuple[Value, ...]]
    outputs: Any
    """The output values for the inputs."""


def same(inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    return inputs[:1]


def times(ratio: Fraction | int):
    return lambda inputs: (Value(int(inputs[0].channels * ratio), inputs[0].grid),)


CASES: dict[str, list[Case]] = {
    "conv": [
        Case({}, everywhere(6), same),
        *(Case({"kernel": kernel}, on(full, 4), same) for kernel in (3, 5, 7)),
        Case({"ratio": 2}, everywhere(4), times(2)),
        *(Case({"ratio": ratio}, on(full, 4), times(ratio)) for ratio in (3, 4, 6, 24)),
        *(Case({"ratio": f"1/{n}"}, on(full, 12), times(Fraction(1, n))) for n in (2, 3, 4, 6)),
        Case({"ratio": "1/24"}, on(full, 24), times(Fraction(1, 24))),
        Case({"groups": 2, "ratio": 3, "bias": False}, everywhere(4), times(3)),
        Case({"groups": 4, "kernel": 3}, on(full, 8), same),
    ],
    "dwconv": [Case({"kernel": kernel, "bias": kernel == 5}, on(full, 3), same) for kernel in (3, 5, 7)],
    "batch_norm": [Case({}, on(full, 4) + on(pair, 2), same)],
    "layer_norm": [Case({}, on(full, 4) + on(point, 4), same)],
    "rms_norm": [Case({}, on(full, 4) + on(point, 4), same)],
    "group_norm": [Case({"groups": groups}, on(full, 12) + on(point, 12), same) for groups in (1, 2, 6)],
    **{name: [Case({}, everywhere(3), same)] for name in ("gelu", "relu", "relu6", "silu", "hardswish", "sigmoid")},
    "softmax": [Case({}, on(full, 3) + on(pair, 2), same)],
    "max_pool": [Case({}, on(full, 3), same)],
    "avg_pool": [Case({}, on(full, 3), same)],
    "global_avg_pool": [Case({}, on(full, 3), lambda inputs: (point(3),))],
    "upsample": [Case({}, on(point, 3), lambda inputs: (full(3),))],
    "dropout": [Case({"p": p}, everywhere(3), same) for p in (0.0, 0.5)],
    "layer_scale": [Case({"init": init}, on(full, 3) + on(point, 3), same) for init in (0.5, -1.0)],
    "mask": [
        Case({"band": 1}, on(full, 3) + on(pair, 2), same),
        Case({"band": 0, "fill": "exclude"}, on(pair, 2), same),
    ],
    "rel_pos_bias": [Case({"size": size}, on(pair, 2), same) for size in (1, 4, 9)],
    "chunk": [
        Case({"parts": n}, everywhere(12), lambda inputs, n=n: (Value(12 // n, inputs[0].grid),) * n) for n in (2, 3, 6)
    ],
    "concat": [
        Case(
            {},
            everywhere(2, 3) + everywhere(1, 1, 4),
            lambda inputs: (Value(sum(v.channels for v in inputs), inputs[0].grid),),
        )
    ],
    "add": [Case({}, everywhere(3, 3) + everywhere(2, 2, 2), same)],
    "subtract": [Case({}, everywhere(3, 3), same)],
    "multiply": [
        Case({"gate": "sigmoid"}, everywhere(3, 3), same),
        Case({"gate": "none"}, everywhere(3, 3) + everywhere(2, 2, 2), same),
    ],
    "matmul1": [Case({"heads": heads}, on(full, 6, 6), lambda inputs, h=heads: (pair(h),)) for heads in (1, 3)],
    "matmul2": [Case({"heads": heads}, [(pair(heads), full(6))], lambda inputs: (full(6),)) for heads in (1, 3)],
    "any_conv": [
        Case({"kernel": 3}, everywhere(4), same),
        *(Case({"kernel": kernel}, on(pair, 4) + on(full, 4) + on(point, 4), same) for kernel in (1, 5, 7)),
        Case({"ratio": 2, "groups": 2, "bias": False}, everywhere(4), times(2)),
        *(Case({"ratio": ratio}, everywhere(2), times(ratio)) for ratio in (3, 4, 6, 24)),
        *(Case({"ratio": f"1/{n}"}, everywhere(24), times(Fraction(1, n))) for n in (2, 3, 4, 6, 24)),
    ],
    "any_dwconv": [Case({"kernel": kernel, "bias": kernel == 5}, everywhere(3), same) for kernel in (3, 5, 7)],
    "any_max_pool": [Case({}, everywhere(3), same)],
    "any_layer_norm": [Case({}, everywhere(4), same)],
    "any_batch_norm": [Case({}, everywhere(4), same)],
    "point_softmax": [Case({}, on(point, 3), same)],
    "point_matmul1": [Case({"heads": h}, on(point, 6, 6), lambda inputs, h=h: (point(h),)) for h in (1, 3)],
    "point_matmul2": [Case({"heads": h}, [(point(h), point(6))], lambda inputs: (point(6),)) for h in (1, 3)],
    "shared_pos_bias": [Case({"size": size}, everywhere(3), same) for size in (2, 4)],
    "pair_avg_pool": [Case({}, on(pair, 3), lambda inputs: (point(3),))],
    "pair_upsample": [Case({}, on(point, 3), lambda inputs: (pair(3),))],
    "zero": [Case({}, everywhere(3), same)],
}

PARAMETERS = [
    pytest.param(make(name, case.attributes), inputs, case.outputs(inputs), id=f"{make(name, case.attributes)}-{i}")
    for name, cases in CASES.items()
    for i, (case, inputs) in enumerate((case, inputs) for case in cases for inputs in case.inputs)
]


def cases_where(holds: Callable[[Op, tuple[Value, ...]], bool]) -> pytest.MarkDecorator:
    """The cases of the operations that make a promise."""
    return pytest.mark.parametrize(("op", "inputs", "outputs"), [p for p in PARAMETERS if holds(*p.values[:2])])


every_case = cases_where(lambda op, inputs: True)


def tensor(value: Value, size: tuple[int, int], batch: int = 2) -> Tensor:
    return torch.randn(batch, value.channels, *value.grid.extent(size))


def arguments(op: Op, inputs: tuple[Value, ...], size: tuple[int, int], batch: int = 2) -> list[Tensor]:
    """Random inputs for the module, and a block input of another width where it wants one."""
    torch.manual_seed(0)
    return [tensor(v, size, batch) for v in inputs] + ([tensor(full(5), size, batch)] if op.needs_reference else [])


def module_of(op: Op, inputs: tuple[Value, ...]) -> nn.Module:
    """The module with parameters that are not at their special first values."""
    torch.manual_seed(1)
    module = op.build(inputs)
    for parameter in module.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    return module.eval()


def as_tuple(out: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return out if isinstance(out, tuple) else (out,)


def test_every_operation_has_cases():
    missing = sorted(set(REGISTRY) - set(CASES))
    assert not missing, f"CASES has no line for {missing}"
    assert set(CASES) == set(REGISTRY)


def test_every_attribute_and_every_choice_is_tried():
    for name, cases in CASES.items():
        for spec in fields(REGISTRY[name]):
            tried = {getattr(make(name, case.attributes), spec.name) for case in cases}
            assert len(tried) > 1, f"CASES try one value of {name}.{spec.name}, not two"
            missing = sorted(set(spec.metadata["choices"] or ()) - tried)
            assert not missing, f"CASES do not try {missing} for {name}.{spec.name}"


@every_case
def test_shape_rule(op, inputs, outputs):
    assert op.infer(inputs) == outputs
    assert len(outputs) == op.outputs
    for size in SIZES:
        found = as_tuple(module_of(op, inputs)(*arguments(op, inputs, size)))
        assert [tuple(y.shape) for y in found] == [(2, v.channels, *v.grid.extent(size)) for v in outputs]
        assert all(torch.isfinite(y).all() for y in found)


@every_case
def test_parameters(op, inputs, outputs):
    assert op.parameters(inputs) == sum(p.numel() for p in op.build(inputs).parameters())


@every_case
def test_macs(op, inputs, outputs):
    for size in SIZES:
        module, args = module_of(op, inputs), arguments(op, inputs, size, batch=1)
        with FlopCounterMode(display=False) as counter:
            module(*args)
        assert 2 * op.macs(inputs, size) == counter.get_total_flops()


@every_case
def test_images_do_not_touch(op, inputs, outputs):
    """An image gives the same alone and beside another."""
    for size in SIZES:
        module, args = module_of(op, inputs), arguments(op, inputs, size)
        together = as_tuple(module(*args))
        for i in range(2):
            alone = as_tuple(module(*(x[i : i + 1] for x in args)))
            for a, b in zip(alone, together):
                torch.testing.assert_close(a, b[i : i + 1], rtol=1e-5, atol=3e-6)


@every_case
def test_trains(op, inputs, outputs):
    module, args = module_of(op, inputs).train(), arguments(op, inputs, (5, 3))
    args = [x.requires_grad_() for x in args]
    torch.manual_seed(2)
    loss = sum((y * torch.randn_like(y)).sum() for y in as_tuple(module(*args)))
    if not loss.requires_grad:
        assert op.constant and not list(module.parameters())
        return
    loss.backward()
    for name, parameter in module.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 1e-4, name
    for x in args[: len(inputs)]:
        if op.constant:
            assert x.grad is None or not x.grad.any()
            continue
        assert torch.isfinite(x.grad).all()
        assert x.grad.abs().sum() > 0


@every_case
def test_state_dict_round_trip(op, inputs, outputs):
    trained, fresh = module_of(op, inputs), op.build(inputs).eval()
    fresh.load_state_dict(trained.state_dict(), strict=True)
    args = arguments(op, inputs, (5, 3))
    for a, b in zip(as_tuple(fresh(*args)), as_tuple(trained(*args))):
        assert torch.equal(a, b)


@every_case
def test_other_precisions(op, inputs, outputs):
    """A module used in one precision may be moved to another."""
    args = arguments(op, inputs, (5, 3))
    for dtype, tolerance in ((torch.float64, 1e-5), (torch.bfloat16, 0.1)):
        module = module_of(op, inputs)
        with torch.no_grad():
            before = as_tuple(module(*args))
            after = as_tuple(module.to(dtype)(*(x.to(dtype) for x in args)))
        for a, b in zip(before, after):
            assert b.dtype is dtype
            torch.testing.assert_close(a, b.float(), rtol=tolerance, atol=tolerance)


@cases_where(lambda op, inputs: op.channelwise)
def test_channelwise_is_true(op, inputs, outputs):
    """`channelwise` promises that the module may be called on parallel copies side by side."""
    module, args = module_of(op, inputs), arguments(op, inputs, (5, 3))
    first, second = args[0], args[0].flip(0) + 1
    joined = module(torch.cat([first, second], 1), *args[1:])
    apart = torch.cat([module(first, *args[1:]), module(second, *args[1:])], 1)
    torch.testing.assert_close(joined, apart)


@cases_where(lambda op, inputs: len(inputs) > 1 and len(set(inputs)) == 1)
def test_commutative_is_true(op, inputs, outputs):
    """Inputs have no order exactly where the operation says so."""
    module, args = module_of(op, inputs), arguments(op, inputs, (5, 3))
    equal = torch.allclose(module(*args), module(*args[::-1]), atol=1e-5)
    assert equal == op.commutative


@cases_where(lambda op, inputs: op.batched() is not None)
def test_batched_is_true(op, inputs, outputs):
    """`batched` promises one module for parallel copies with parameters of their own."""
    batched = op.batched()
    copies = [module_of(op, inputs), op.build(inputs), op.build(inputs)]
    parts = [arguments(op, inputs, (5, 3))[0] + i for i in range(3)]
    apart = torch.cat([module(part) for module, part in zip(copies, parts)], 1)
    torch.testing.assert_close(batched(torch.cat(parts, 1), *copies), apart, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_refused_grids(name):
    tried: dict[tuple[Grid, ...], set[Grid]] = {}
    for case in CASES[name]:
        op = make(name, case.attributes)
        tried.setdefault(op.grids, set()).update(inputs[0].grid for inputs in case.inputs)
        for grid in set(ALL_GRIDS) - set(op.grids):
            inputs = (Value(case.inputs[0][0].channels, grid), *case.inputs[0][1:])
            with pytest.raises(GenotypeError, match=f"{name} is not defined on the {grid.value} grid, only on: "):
                op.infer(inputs)
    assert all(found == set(admitted) for admitted, found in tried.items())  # and each admitted grid has a case


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_wrong_number_of_inputs(name):
    for case in CASES[name]:
        op, inputs = make(name, case.attributes), case.inputs[0]
        for wrong in {(), inputs[:1] * (1 if op.arity != 1 else 2), inputs * (3 if op.arity else 0)}:
            with pytest.raises(GenotypeError, match=r"takes .* got \d") as error:
                op.infer(wrong)
            assert error.value.path == "inputs"


BAD_INPUTS = {
    "conv: groups of the input": ("conv", {"groups": 4}, on(full, 6)[0], "groups"),
    "conv: groups of the output": ("conv", {"groups": 4, "ratio": "1/2"}, on(full, 4)[0], "groups"),
    "conv: width": ("conv", {"ratio": "1/4"}, on(full, 6)[0], "ratio"),
    "group_norm: groups": ("group_norm", {"groups": 4}, on(full, 6)[0], "groups"),
    "group_norm: groups of one": ("group_norm", {"groups": 4}, on(full, 4)[0], "groups"),
    "layer_norm: one channel": ("layer_norm", {}, on(full, 1)[0], ""),
    "rms_norm: one channel": ("rms_norm", {}, on(point, 1)[0], ""),
    "chunk": ("chunk", {"parts": 3}, on(full, 4)[0], "parts"),
    "concat: grids": ("concat", {}, (full(2), point(2)), "inputs[1]"),
    "add: channels": ("add", {}, on(full, 2, 2, 3)[0], "inputs[2]"),
    "add: grids": ("add", {}, (full(2), point(2)), "inputs[1]"),
    "subtract: channels": ("subtract", {}, on(full, 2, 3)[0], "inputs[1]"),
    "subtract: grids": ("subtract", {}, (full(2), point(2)), "inputs[1]"),
    "multiply: channels": ("multiply", {}, on(full, 2, 3)[0], "inputs[1]"),
    "multiply: three for a gate": ("multiply", {}, on(full, 2, 2, 2)[0], "inputs"),
    "matmul1: channels": ("matmul1", {}, on(full, 2, 3)[0], "inputs[1]"),
    "matmul1: grids": ("matmul1", {}, (full(2), point(2)), "inputs[1]"),
    "matmul1: heads": ("matmul1", {"heads": 4}, on(full, 6, 6)[0], "heads"),
    "matmul2: heads": ("matmul2", {"heads": 2}, (pair(3), full(6)), "heads"),
    "matmul2: heads of the values": ("matmul2", {"heads": 4}, (pair(4), full(6)), "heads"),
    "matmul2: grids": ("matmul2", {}, (pair(1), pair(6)), "inputs[1]"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_inputs_that_do_not_fit(case):
    name, attributes, inputs, path = BAD_INPUTS[case]
    with pytest.raises(GenotypeError) as error:
        make(name, attributes).infer(inputs)
    assert error.value.path == path


BAD_VALUES = {
    int: [0.5, 1.0, "3", None, True, [1], {}, -1],
    float: ["0.5", None, True, [0.5], float("nan"), float("inf"), float("-inf"), 10**400],
    str: [1, None, True, ["none"], "", "nonsense"],
    bool: [0, 1, "true", None, []],
    Fraction: ["x", "", None, True, [4], 0, -1, 7, "1/0", "4/", float("nan"), float("inf"), "1e9", " 4"],
}


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_bad_attributes(name):
    for spec in fields(REGISTRY[name]):
        for value in BAD_VALUES[type(spec.default)]:
            with pytest.raises(GenotypeError) as error:
                make(name, {spec.name: value})
            assert error.value.path == spec.name
            with pytest.raises(GenotypeError):
                REGISTRY[name](**{spec.name: value})


OUT_OF_RANGE = [
    *[("any_conv", "kernel", v) for v in (0, 2, 9)],
    ("any_conv", "groups", 0),
    *[("any_dwconv", "kernel", v) for v in (1, 2, 9)],
    ("point_matmul1", "heads", 0),
    ("point_matmul2", "heads", 0),
    ("shared_pos_bias", "size", 0),
    *[("conv", "kernel", v) for v in (0, 2, 9)],
    ("conv", "groups", 0),
    *[("dwconv", "kernel", v) for v in (1, 2, 9)],
    ("group_norm", "groups", 0),
    *[("dropout", "p", v) for v in (-0.1, 1.0, 1, 2)],
    ("chunk", "parts", 1),
    ("matmul1", "heads", 0),
    ("matmul2", "heads", 0),
    ("rel_pos_bias", "size", 0),
    ("mask", "band", -1),
    ("mask", "fill", "one"),
    ("multiply", "gate", "tanh"),
]


@pytest.mark.parametrize(("name", "attribute", "value"), OUT_OF_RANGE)
def test_attributes_out_of_range(name, attribute, value):
    with pytest.raises(GenotypeError, match=str(value)) as error:
        make(name, {attribute: value})
    assert error.value.path == attribute


def test_every_number_has_its_limits_tried():
    limited = {
        (name, spec.name)
        for name, kind in REGISTRY.items()
        for spec in fields(kind)
        if any(spec.metadata[key] is not None for key in ("choices", "minimum", "below"))
        and spec.name not in ("ratio", "bias")
    }
    tried = {(name, attribute) for name, attribute, _ in OUT_OF_RANGE}
    missing = sorted(limited - tried)
    assert not missing, f"OUT_OF_RANGE has no refused value for {missing}"
    assert tried == limited


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_unknown_attributes(name):
    known = [spec.name for spec in fields(REGISTRY[name])]
    with pytest.raises(
        GenotypeError, match="has no attribute 'nonsense'; " + ("choose from" if known else "it has none")
    ) as error:
        make(name, {"nonsense": 1})
    assert error.value.path == "nonsense"
    for key in known:
        with pytest.raises(GenotypeError, match=f"did you mean '{key}'"):
            make(name, {f"{key}_": 1})


@pytest.mark.parametrize("name", ["Conv", "", None, 5, ["conv"], "convolution"])
def test_unknown_operations(name):
    with pytest.raises(GenotypeError, match="there is no operation") as error:
        make(name)
    assert error.value.path == "op"


@every_case
def test_equal_settings_are_one_operation(op, inputs, outputs):
    again = REGISTRY[op.name](**op.attributes())
    assert again == op
    assert hash(again) == hash(op)
    assert make(op.name, op.attributes()) == op
    assert str(again) == str(op)
    with pytest.raises(AttributeError):
        op.name = "changed"
    for name, value in op.attributes().items():
        with pytest.raises(AttributeError):
            setattr(op, name, value)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_settings_tell_operations_apart(name):
    settings = [make(name, case.attributes) for case in CASES[name]]
    distinct = len({str(sorted(op.attributes().items())) for op in settings})
    assert len(set(settings)) == distinct == len({str(op) for op in settings})


def test_ways_to_write_the_same_value():
    assert make("conv", {"ratio": "1/4"}) == make("conv", {"ratio": 0.25}) == make("conv", {"ratio": Fraction(1, 4)})
    assert make("dropout", {"p": 0}) == make("dropout", {"p": 0.0})
    assert str(make("layer_scale", {"init": -0.0})) == str(make("layer_scale", {"init": 0}))


def test_a_name_is_taken_once():
    with pytest.raises(TypeError, match="operation name 'conv' is taken by Conv"):
        type("Other", (Op,), {"name": "conv"})
    assert REGISTRY["conv"].__name__ == "Conv"


def test_a_new_operation_is_one_class():
    try:
        kind = dataclass(frozen=True)(
            type(
                "Negate", (Op,), {"name": "negate", "build": lambda self, inputs: nn.Identity(), "__annotations__": {}}
            )
        )
        REGISTRY["negate"] = kind
        assert make("negate").infer((full(3),)) == (full(3),)
        assert make("negate").parameters((full(3),)) == make("negate").macs((full(3),), (2, 2)) == 0
    finally:
        REGISTRY.pop("negate", None)
